"""The manifests of a Managed region's control plane. Pure."""

from orrery.render.region.blueprint import Blueprint, Component, Manifest
from orrery.render.region.layers import Layer, render_region

__all__ = ["Blueprint", "Component", "Layer", "Manifest", "render_region"]
