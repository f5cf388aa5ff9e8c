//go:build unix

package moto

import (
	"os/exec"
	"syscall"
)

// command runs a program in a process group of its own, which ends when the
// program does or when its standard input does. moto_server may be a wrapper
// (pyenv's is a shell script), so that one process to kill is not enough.
func command(path string, args ...string) *exec.Cmd {
	const script = `{ "$@"; kill $$; } & read -r _; kill 0`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", path}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// kill ends the whole process group.
func kill(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended already
}
