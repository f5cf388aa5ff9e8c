package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/orgguard/orgguard/orgs"
)

// program is an executable that a function can run.
type program struct {
	architecture string // as Lambda calls it
	version      string
	zip          []byte
	notes        []string
}

// key is where the package is in the bucket: what is under a key never changes.
func (p program) key() string {
	sum := sha256.Sum256(p.zip)
	return "code/" + hex.EncodeToString(sum[:]) + ".zip"
}

// maxProgram is what a function's package may have unpacked, in bytes.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxProgram = 250 << 20

// architectures are Lambda's names of the processors that it has.
var architectures = map[elf.Machine]string{elf.EM_AARCH64: "arm64", elf.EM_X86_64: "x86_64"}

// packProgram packs an executable for a function: a file, or with "" the one that runs.
func packProgram(file string) (program, error) {
	own := file == ""
	if own {
		if runtime.GOOS != "linux" {
			return program{}, &orgs.Hinted{
				Err:  fmt.Errorf("this orgguard is for %s and a function runs on Linux", runtime.GOOS),
				Next: "give the orgguard of the same version for linux/arm64: --binary FILE",
			}
		}
		var err error
		if file, err = os.Executable(); err != nil {
			return program{}, fmt.Errorf("find the program that runs: %w", err)
		}
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return program{}, badInput(err)
	case !info.Mode().IsRegular() || info.Size() > maxProgram:
		return program{}, badInput(fmt.Errorf("%s: want a file of at most %d MB, which is what a function takes", file, maxProgram>>20))
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return program{}, badInput(err)
	}
	p, err := readProgram(body)
	if err != nil {
		return program{}, badInput(&orgs.Hinted{Err: fmt.Errorf("%s: %w", file, err), Next: "give an orgguard that was built with GOOS=linux GOARCH=arm64 CGO_ENABLED=0: --binary FILE"})
	}
	if own {
		p.version, p.notes = cutVersion(version), nil
	}
	p.zip, err = zipProgram(body)
	return p, err
}

// readProgram checks that an executable is one that a function can run, and orgguard.
func readProgram(body []byte) (program, error) {
	f, err := elf.NewFile(bytes.NewReader(body))
	if err != nil {
		return program{}, errors.New("it is no executable for Linux")
	}
	arch, ok := architectures[f.Machine]
	if !ok || f.Class != elf.ELFCLASS64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return program{}, fmt.Errorf("it is an executable for %s %s, and functions run on arm64 or x86_64", f.Class, f.Machine)
	}
	p := program{architecture: arch, version: "unknown"}
	for _, h := range f.Progs {
		if h.Type == elf.PT_INTERP {
			p.notes = append(p.notes, "the program is linked dynamically: it needs a C library no newer than the one of Amazon Linux 2023")
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(body))
	if err != nil {
		p.notes = append(p.notes, "the program does not say what it is: nobody checks that it is orgguard")
		return p, nil
	}
	if !strings.HasSuffix(strings.TrimSuffix(info.Path, ".test"), "/cmd/orgguard") {
		return program{}, fmt.Errorf("it is another program: %s", info.Path)
	}
	p.version = cutVersion(info.Main.Version)
	for _, s := range info.Settings {
		if m := versionFlag.FindStringSubmatch(s.Value); s.Key == "-ldflags" && m != nil {
			p.version = cutVersion(m[1])
		}
	}
	return p, nil
}

var (
	versionFlag = regexp.MustCompile(`-X[ =]["']?main\.version=([^ "']+)`)
	versionOdd  = regexp.MustCompile(`[^A-Za-z0-9._+@=:/-]`)
)

// cutVersion is a version as the template's parameter takes it.
func cutVersion(v string) string {
	if v = versionOdd.ReplaceAllString(v, "-"); v == "" {
		return "unknown"
	}
	return v[:min(len(v), 128)]
}

// zipProgram makes the package: the program alone, called bootstrap. The same program
// gives the same bytes.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-provided.html
func zipProgram(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = f.Write(body)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pack the program: %w", err)
	}
	return b.Bytes(), nil
}
