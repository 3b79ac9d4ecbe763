// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// Go's net/http with its own mux: go run main.go PORT
package main

import (
	"fmt"
	"net/http"
	"os"
)

func show(section string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "section=%s\n", section)
		for _, value := range r.URL.Query()["client_id"] {
			fmt.Fprintf(w, "query=%s\n", value)
		}
		r.ParseForm()
		for _, value := range r.PostForm["client_id"] {
			fmt.Fprintf(w, "form=%s\n", value)
		}
		if cookie, err := r.Cookie("client_id"); err == nil {
			fmt.Fprintf(w, "cookie=%s\n", cookie.Value)
		}
		if value := r.Header.Get("X-Client-Id"); value != "" {
			fmt.Fprintf(w, "header=%s\n", value)
		}
	}
}

func main() {
	http.HandleFunc("/app/", show("app"))
	http.HandleFunc("/app", show("app"))
	http.HandleFunc("/", show("open"))
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
