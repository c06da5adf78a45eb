// A minimal operator on controller-runtime, to compare Orrery with: a FanOut holds the body of a
// register call, and its reconcile posts that body to each region in turn.
//
// It does what a reconcile needs and nothing else: no finalizer, no compare-and-set, no look at what
// became of the job. Connections to the regions stay open.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var fanOut = schema.GroupVersionKind{Group: "bench.orrery.dev", Version: "v1", Kind: "FanOut"}

// region is one Nomad, and the client that is kept for it.
type region struct {
	address string
	token   string
	http    *http.Client
}

// entry is one region of regions.json.
type entry struct {
	NomadAddress string `json:"nomadAddress"`
	TokenFile    string `json:"tokenFile"`
	CAFile       string `json:"caFile"`
	CertFile     string `json:"certFile"`
	KeyFile      string `json:"keyFile"`
}

// reconciler posts the body of a FanOut to all regions: one after the other, or all at once.
type reconciler struct {
	client.Client
	regions  []region
	parallel bool
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(fanOut)
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if observed == object.GetGeneration() {
		return ctrl.Result{}, nil
	}
	job, _, _ := unstructured.NestedString(object.Object, "spec", "job")
	body, _, _ := unstructured.NestedString(object.Object, "spec", "body")
	if err := r.registerEverywhere(ctx, job, []byte(body)); err != nil {
		return ctrl.Result{}, err
	}
	status := map[string]any{
		"observedGeneration": object.GetGeneration(),
		"registered":         int64(len(r.regions)),
	}
	if err := unstructured.SetNestedMap(object.Object, status, "status"); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.Status().Update(ctx, object)
}

func (r *reconciler) registerEverywhere(ctx context.Context, job string, body []byte) error {
	if !r.parallel {
		for _, each := range r.regions {
			if err := each.register(ctx, job, body); err != nil {
				return err
			}
		}
		return nil
	}
	failures := make([]error, len(r.regions))
	var all sync.WaitGroup
	for i, each := range r.regions {
		all.Add(1)
		go func() {
			defer all.Done()
			failures[i] = each.register(ctx, job, body)
		}()
	}
	all.Wait()
	return errors.Join(failures...)
}

func (r region) register(ctx context.Context, job string, body []byte) error {
	url := r.address + "/v1/job/" + job
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Nomad-Token", r.token)
	reply, err := r.http.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	said, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", r.address, reply.StatusCode, said)
	}
	return err
}

// warm opens a connection, so that the first register does not pay for the handshake.
func (r region) warm() error {
	reply, err := r.http.Get(r.address + "/v1/status/leader")
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	_, err = io.Copy(io.Discard, reply.Body)
	return err
}

func loadRegions(path string) ([]region, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries []entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, err
	}
	regions := make([]region, 0, len(entries))
	for _, each := range entries {
		made, err := each.connect()
		if err != nil {
			return nil, err
		}
		if err := made.warm(); err != nil {
			return nil, err
		}
		regions = append(regions, made)
	}
	return regions, nil
}

func (e entry) connect() (region, error) {
	pair, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
	if err != nil {
		return region{}, err
	}
	authority, err := os.ReadFile(e.CAFile)
	if err != nil {
		return region{}, err
	}
	token, err := os.ReadFile(e.TokenFile)
	if err != nil {
		return region{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
		MaxIdleConnsPerHost: 8,
		MaxConnsPerHost:     8,
		IdleConnTimeout:     time.Minute,
	}
	made := &http.Client{Transport: transport, Timeout: 15 * time.Second}
	return region{e.NomadAddress, strings.TrimSpace(string(token)), made}, nil
}

func run() error {
	path := flag.String("regions", "regions.json", "how to reach the regions")
	workers := flag.Int("workers", 1, "reconciles at a time")
	parallel := flag.Bool("parallel", false, "post to all regions of a FanOut at once")
	flag.Parse()
	log.SetLogger(zap.New())

	regions, err := loadRegions(*path)
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(fanOut)
	err = ctrl.NewControllerManagedBy(manager).
		For(object).
		Named("fanout").
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&reconciler{manager.GetClient(), regions, *parallel})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
