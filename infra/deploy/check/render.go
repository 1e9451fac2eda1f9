// Renders the Helm chart for the checks: Go's text/template with the functions of sprig, as Helm does it, and those
// few of Helm's own that the chart uses. Not Helm: no hooks, no lookups, no capabilities.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run render.go CHART RELEASE [VALUES…] >rendered.yaml
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type files struct{ chart string }

// Get is a file of the chart, as text.
func (f files) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(f.chart, name))
	return string(text), err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "render:", err)
	os.Exit(1)
}

// Helm reads values by way of JSON, so that whole numbers are floats in templates.
func read(path string) map[string]interface{} {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	var raw, values map[string]interface{}
	if err := yaml.Unmarshal(text, &raw); err != nil {
		fail(fmt.Errorf("%s: %w", path, err))
	}
	word, err := json.Marshal(raw)
	if err != nil {
		fail(err)
	}
	if err := json.Unmarshal(word, &values); err != nil {
		fail(err)
	}
	return values
}

func over(base, more map[string]interface{}) map[string]interface{} {
	for key, value := range more {
		inner, both := value.(map[string]interface{})
		below, there := base[key].(map[string]interface{})
		if both && there {
			base[key] = over(below, inner)
		} else {
			base[key] = value
		}
	}
	return base
}

func main() {
	chart, release := os.Args[1], os.Args[2]
	about := read(filepath.Join(chart, "Chart.yaml"))
	values := read(filepath.Join(chart, "values.yaml"))
	for _, path := range os.Args[3:] {
		values = over(values, read(path))
	}
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		var out bytes.Buffer
		write := yaml.NewEncoder(&out)
		write.SetIndent(2)
		err := write.Encode(value)
		return strings.TrimSuffix(out.String(), "\n"), err
	}
	functions["required"] = func(why string, value interface{}) (interface{}, error) {
		if text, is := value.(string); value == nil || is && text == "" {
			return nil, errors.New(why)
		}
		return value, nil
	}
	functions["fail"] = func(why string) (string, error) { return "", errors.New(why) }
	all.Funcs(functions)
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		fail(err)
	}
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil {
			_, err = all.New(filepath.Base(path)).Parse(string(text))
		}
		if err != nil {
			fail(err)
		}
	}
	data := map[string]interface{}{
		"Values":  values,
		"Files":   files{chart},
		"Release": map[string]interface{}{"Name": release, "Namespace": "default", "Service": "Helm"},
		"Chart":   map[string]interface{}{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, data); err != nil {
			fail(err)
		}
		if name == "NOTES.txt" || strings.TrimSpace(out.String()) == "" {
			continue
		}
		fmt.Printf("---\n# %s\n%s\n", name, strings.ReplaceAll(out.String(), "<no value>", ""))
	}
}
