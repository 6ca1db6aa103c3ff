// Judge says of one object what Argo CD and kstatus make of it: one JSON in, one JSON out.
//
// In: the object, the scripts of a health check, of the discovery of actions, and of each action.
// Out: kstatus' word, the health, the actions with whether they are offered, and for each action
// the merge patch that Argo CD would send.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Object    *unstructured.Unstructured `json:"object"`
	Health    string                     `json:"health"`
	Discovery string                     `json:"discovery"`
	Actions   map[string]string          `json:"actions"`
}

type answer struct {
	Kstatus verdict                    `json:"kstatus"`
	Health  verdict                    `json:"health"`
	Offered map[string]bool            `json:"offered"`
	Patches map[string]json.RawMessage `json:"patches"`
}

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	var asked question
	err := json.NewDecoder(os.Stdin).Decode(&asked)
	if err == nil {
		var found answer
		if found, err = judge(asked); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(found)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(asked question) (answer, error) {
	found := answer{Offered: map[string]bool{}, Patches: map[string]json.RawMessage{}}
	computed, err := status.Compute(asked.Object)
	if err != nil {
		return found, fmt.Errorf("kstatus: %w", err)
	}
	found.Kstatus = verdict{computed.Status.String(), computed.Message}
	if err := into(&found.Health, asked.Health, asked.Object.Object); err != nil {
		return found, fmt.Errorf("health.lua: %w", err)
	}
	var actions map[string]struct {
		Disabled bool `json:"disabled"`
	}
	if err := into(&actions, asked.Discovery, asked.Object.Object); err != nil {
		return found, fmt.Errorf("discovery.lua: %w", err)
	}
	for name, action := range actions {
		found.Offered[name] = !action.Disabled
	}
	for name, script := range asked.Actions {
		if found.Patches[name], err = patch(script, asked.Object.Object); err != nil {
			return found, fmt.Errorf("%s/action.lua: %w", name, err)
		}
	}
	return found, nil
}

// patch is what differs between the object and what the action returns for it.
func patch(script string, object map[string]any) (json.RawMessage, error) {
	var returned map[string]any
	if err := into(&returned, script, object); err != nil {
		return nil, err
	}
	before, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(withMaps(returned, object))
	if err != nil {
		return nil, err
	}
	return jsonpatch.CreateMergePatch(before, after)
}

// withMaps gives back what Lua cannot tell from an empty list: the maps that are empty. As in
// Argo CD, elements of lists do not get them back.
func withMaps(returned, object map[string]any) map[string]any {
	for key, was := range object {
		switch is := returned[key].(type) {
		case map[string]any:
			if was, ok := was.(map[string]any); ok {
				returned[key] = withMaps(is, was)
			}
		case []any:
			switch was := was.(type) {
			case map[string]any:
				if len(is) == 0 {
					returned[key] = was
				}
			case []any:
				elements(is, was)
			}
		}
	}
	return returned
}

func elements(returned, object []any) {
	for i := range min(len(returned), len(object)) {
		switch is := returned[i].(type) {
		case map[string]any:
			if was, ok := object[i].(map[string]any); ok {
				returned[i] = withMaps(is, was)
			}
		case []any:
			if was, ok := object[i].([]any); ok {
				elements(is, was)
			}
		}
	}
}
