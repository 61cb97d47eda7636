// Go clients on the broker that the first argument names: franz-go, kadm and sarama.
//
// Usage: clients BROKER franz|sarama. Prints one JSON object with what was seen, or fails with a text on standard error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: clients BROKER franz|sarama"))
	}
	runs := map[string]func(string) (any, error){"franz": runFranz, "sarama": runSarama}
	run, ok := runs[os.Args[2]]
	if !ok {
		fail(fmt.Errorf("no client of this name: %s", os.Args[2]))
	}
	seen, err := run(os.Args[1])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
