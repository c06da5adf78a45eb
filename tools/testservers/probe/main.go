// What the lab's pods run: a program that waits, one that answers, one that asks. It needs no file
// of its image but itself, and no user.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "pause":
		pause()
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "resolve":
		resolve(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "ask":
		ask(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "write":
		check(os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o600))
	default:
		fmt.Fprintln(os.Stderr, "usage: probe pause | serve ADDRESS | resolve NAME | ask URL | write FILE TEXT")
		os.Exit(2)
	}
}

// pause holds a pod's namespaces. As their first process it inherits orphans, and reaps them.
func pause() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
				break
			}
		}
	}
}

// serve answers every request with the name of the pod.
func serve(address string) {
	name, err := os.Hostname()
	check(err)
	check(http.ListenAndServe(address, http.HandlerFunc(
		func(reply http.ResponseWriter, _ *http.Request) { fmt.Fprintln(reply, name) },
	)))
}

// resolve prints the addresses of a name, one a line.
func resolve(name string) {
	addresses, err := net.LookupHost(name)
	check(err)
	for _, address := range addresses {
		fmt.Println(address)
	}
}

// ask prints what is answered at an address.
func ask(url string) {
	reply, err := http.Get(url)
	check(err)
	defer reply.Body.Close()
	_, err = io.Copy(os.Stdout, reply.Body)
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
