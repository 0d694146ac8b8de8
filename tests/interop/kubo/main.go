// Command ipfs is the Kubo program as released, built from this module so that
// go.sum fixes every byte of it.
package main

import (
	"os"

	"github.com/ipfs/kubo/cmd/ipfs/kubo"
)

func main() {
	os.Exit(kubo.Start(kubo.BuildDefaultEnv))
}
