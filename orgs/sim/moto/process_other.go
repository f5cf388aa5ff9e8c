//go:build !unix

package moto

import "os/exec"

func command(path string, args ...string) *exec.Cmd { return exec.Command(path, args...) }

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended already
}
