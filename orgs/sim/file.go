package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// stateVersion is the version of the sandbox file's format. A file of another
// version is refused: a sandbox is made again faster than it is migrated.
const stateVersion = 2

const (
	lockWait = 10 * time.Second
	// saveEvery is the least time between two saves while calls go on;
	// saveShare keeps saving a large world from taking more than a fraction
	// of the time.
	saveEvery = 300 * time.Millisecond
	saveShare = 20
)

// file keeps a world on disk. While a world is open its file is locked, so two
// commands never work on the same sandbox at once.
type file struct {
	path string
	lock *flock.Flock

	due  chan struct{} // capacity 1: something changed
	stop chan struct{}
	done chan struct{}
}

// FileError is a sandbox file that cannot be used.
type FileError struct {
	Path string
	Err  error
	hint string
}

func (e *FileError) Error() string { return fmt.Sprintf("sandbox %s: %v", e.Path, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *FileError) Hint() string { return e.hint }

// Create makes a sandbox file with the organization that s describes and opens
// it. It refuses to overwrite a file unless told to.
func Create(path string, s Spec, overwrite bool) (*World, error) {
	w, err := New(s)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	f, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err == nil && !overwrite {
		err := &FileError{Path: path, Err: fs.ErrExist, hint: "replace it: orgguard sandbox create --force"}
		return nil, errors.Join(err, f.unlock())
	}
	if err := f.save(w); err != nil {
		return nil, errors.Join(err, f.unlock())
	}
	w.open(f)
	return w, nil
}

// Open opens a sandbox file. Close it to save it and let others at it.
func Open(path string) (*World, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &FileError{Path: path, Err: err, hint: "create one: orgguard sandbox create"}
	}
	f, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	state, err := readState(path)
	if err != nil {
		return nil, errors.Join(err, f.unlock())
	}
	w := newWorld(state)
	w.faults, w.timing = state.Faults, state.Timing
	w.open(f)
	return w, nil
}

// readState reads a sandbox file.
func readState(path string) (*State, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &FileError{Path: path, Err: err}
	}
	remake := "make it again: orgguard sandbox create --force"
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, &FileError{Path: path, Err: fmt.Errorf("not a sandbox file: %w", err), hint: remake}
	}
	if head.Version != stateVersion {
		return nil, &FileError{
			Path: path,
			Err:  fmt.Errorf("its format is version %d, this orgguard reads version %d", head.Version, stateVersion),
			hint: remake,
		}
	}
	s := new(State)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, &FileError{Path: path, Err: fmt.Errorf("damaged: %w", err), hint: remake}
	}
	return s, nil
}

// lockFile takes the lock beside a sandbox file, and leaves a note in it for
// whoever has to wait.
func lockFile(path string) (*file, error) {
	name := path + ".lock"
	f := &file{
		path: path,
		lock: flock.New(name),
		due:  make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	ok, err := f.lock.TryLockContext(ctx, 50*time.Millisecond)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, &FileError{Path: path, Err: fmt.Errorf("lock: %w", err)}
	}
	if !ok {
		who := "another orgguard"
		if note, err := os.ReadFile(name); err == nil && len(note) > 0 {
			who = strings.TrimSpace(string(note))
		}
		return nil, &FileError{
			Path: path,
			Err:  fmt.Errorf("in use by %s; gave up after %s", who, lockWait),
			hint: "wait for it to end, or use another sandbox with --sandbox-file",
		}
	}
	command := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		command += " " + os.Args[1]
	}
	note := fmt.Sprintf("%s (process %d, since %s)\n", command, os.Getpid(), time.Now().Format(time.TimeOnly))
	if err := os.WriteFile(name, []byte(note), 0o600); err != nil {
		return nil, errors.Join(&FileError{Path: path, Err: fmt.Errorf("lock: %w", err)}, f.lock.Unlock())
	}
	return f, nil
}

// unlock gives the lock back. The lock file stays: removing it could take it
// from under somebody who has just opened it and waits for the lock.
func (f *file) unlock() error {
	if err := f.lock.Unlock(); err != nil {
		return &FileError{Path: f.path, Err: fmt.Errorf("unlock: %w", err)}
	}
	return nil
}

// open starts saving the world to its file in the background.
func (w *World) open(f *file) {
	w.file = f
	go f.run(w)
}

// dirty says that the world changed. It is called with w.mu held.
func (w *World) dirty() {
	if w.file == nil {
		return
	}
	select {
	case w.file.due <- struct{}{}:
	default: // a save is due already
	}
}

// run saves the world after changes, many at a time. A process that is killed
// leaves the file of an earlier moment: whole, and between two calls.
func (f *file) run(w *World) {
	defer close(f.done)
	pause := time.NewTimer(0)
	<-pause.C
	defer pause.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-f.due:
		}
		start := time.Now()
		w.mu.Lock()
		_ = f.save(w) // a disk that stays full is what Close reports
		w.mu.Unlock()
		pause.Reset(max(saveEvery, saveShare*time.Since(start)))
		select {
		case <-f.stop:
			return
		case <-pause.C:
		}
	}
}

// save writes the world to its file, all or nothing. It is called with w.mu
// held, or before anybody else knows the world.
func (f *file) save(w *World) error {
	w.state.Faults, w.state.Timing = w.faults, w.timing
	raw, err := json.Marshal(w.state)
	if err != nil {
		return &FileError{Path: f.path, Err: err}
	}
	if err := writeAtomic(f.path, raw); err != nil {
		return &FileError{Path: f.path, Err: fmt.Errorf("save: %w", err)}
	}
	return nil
}

// writeAtomic replaces a file by renaming a finished one over it.
func writeAtomic(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(raw)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Close saves the world and lets go of its file. A world in memory has nothing
// to close. Calls made afterwards are answered but no longer saved.
func (w *World) Close() error {
	w.mu.Lock()
	f := w.file
	w.file = nil
	w.mu.Unlock()
	if f == nil {
		return nil
	}
	close(f.stop)
	<-f.done
	w.mu.Lock()
	err := f.save(w) // also what a background save could not write
	w.mu.Unlock()
	return errors.Join(err, f.unlock())
}
