//go:build tools

package main

// Keeps what franz-go's own tests import in go.sum.
import _ "github.com/twmb/franz-go/pkg/sasl/scram"
