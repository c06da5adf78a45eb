"""The wire types of Orrery's four kinds. Importable alone: pydantic is all they need."""
