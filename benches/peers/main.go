// Filters of the Go projects that Penstock's are like, measured on the events and filters that are handed in.
//
// Standard input is one JSON document; for each case one line with its name and nanoseconds an event goes to
// standard output. What does not accept the event is an error: nothing else is measured.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/argoproj/argo-events/pkg/sensors/dependencies"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"knative.dev/eventing/pkg/eventfilter"
	"knative.dev/eventing/pkg/eventfilter/subscriptionsapi"
)

// What is measured.
type input struct {
	Event  json.RawMessage `json:"event"`
	Calls  int             `json:"calls"`
	Rounds int             `json:"rounds"`
	Cases  []struct {
		Name   string          `json:"name"`
		Peer   string          `json:"peer"`
		Filter json.RawMessage `json:"filter"`
	} `json:"cases"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	event := cloudevents.NewEvent()
	if err := json.Unmarshal(in.Event, &event); err != nil {
		return err
	}
	for _, c := range in.Cases {
		accepts, err := compile(c.Peer, c.Filter, event)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		best := time.Duration(1<<63 - 1)
		for round := 0; round < in.Rounds; round++ {
			begun := time.Now()
			for call := 0; call < in.Calls; call++ {
				if !accepts() {
					return fmt.Errorf("%s: the event is not accepted", c.Name)
				}
			}
			best = min(best, time.Since(begun))
		}
		fmt.Printf("%s\t%.1f\n", c.Name, float64(best.Nanoseconds())/float64(in.Calls))
	}
	return nil
}

// What a filter says about the event.
func compile(peer string, raw json.RawMessage, event cloudevents.Event) (func() bool, error) {
	switch peer {
	case "argo":
		var filter v1alpha1.EventDependencyFilter
		if err := json.Unmarshal(raw, &filter); err != nil {
			return nil, err
		}
		held := v1alpha1.Event{
			Context: &v1alpha1.EventContext{
				ID: event.ID(), Source: event.Source(), SpecVersion: event.SpecVersion(), Type: event.Type(),
				DataContentType: event.DataContentType(), Subject: event.Subject(),
			},
			Data: event.Data(),
		}
		return func() bool {
			accepted, err := dependencies.Filter(&held, &filter, v1alpha1.AndLogicalOperator)
			return err == nil && accepted
		}, nil
	case "cesql":
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		expression, err := parser.Parse(text)
		if err != nil {
			return nil, err
		}
		return func() bool {
			value, err := expression.Evaluate(event)
			return err == nil && value == true
		}, nil
	case "knative":
		filter, err := dialect(raw)
		if err != nil {
			return nil, err
		}
		ctx := context.Background()
		return func() bool { return filter.Filter(ctx, event) == eventfilter.PassFilter }, nil
	}
	return nil, fmt.Errorf("nobody is called %q", peer)
}

// A filter of a Knative Trigger.
func dialect(raw json.RawMessage) (eventfilter.Filter, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	for name, value := range parts {
		switch name {
		case "exact", "prefix", "suffix":
			var attributes map[string]string
			if err := json.Unmarshal(value, &attributes); err != nil {
				return nil, err
			}
			return map[string]func(map[string]string) (eventfilter.Filter, error){
				"exact":  subscriptionsapi.NewExactFilter,
				"prefix": subscriptionsapi.NewPrefixFilter,
				"suffix": subscriptionsapi.NewSuffixFilter,
			}[name](attributes)
		case "all", "any":
			var raws []json.RawMessage
			if err := json.Unmarshal(value, &raws); err != nil {
				return nil, err
			}
			var filters []eventfilter.Filter
			for _, raw := range raws {
				filter, err := dialect(raw)
				if err != nil {
					return nil, err
				}
				filters = append(filters, filter)
			}
			if name == "all" {
				return subscriptionsapi.NewAllFilter(filters...), nil
			}
			return subscriptionsapi.NewAnyFilter(filters...), nil
		case "not":
			filter, err := dialect(value)
			if err != nil {
				return nil, err
			}
			return subscriptionsapi.NewNotFilter(filter), nil
		}
	}
	return nil, fmt.Errorf("%s is no dialect that is measured", raw)
}
