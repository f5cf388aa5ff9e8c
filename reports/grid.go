package reports

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/fatih/color"
	"github.com/olekukonko/tablewriter"
	blueprint "github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

const (
	gridGap    = 2 // columns between two columns
	gridIndent = 2 // columns before the first
)

// maxCellLines is how tall a cell may grow in a column that spills.
const maxCellLines = 2

// column is a column of a grid. Columns that hold nothing are left out.
type column struct {
	title string
	min   int // the narrowest it may be made when there is little room
	align tw.Align
	// spills says that the column holds sentences: when one of them does not
	// fit well, all of them stand beneath their rows instead.
	spills bool
	// spare says that the column is left out where all of them are too wide: what
	// it says is to be had elsewhere.
	spare bool
}

// gridRow is a row: one safe text per column, painted or not.
type gridRow struct {
	cells []string
	paint map[int]paint
	// notes stand beneath the row, as wide as the grid.
	notes []note
	// shared stands beneath the last of the consecutive rows that have it.
	shared note
	// heading, when it is set, is a line before the row that spans the grid.
	heading string
}

// note is a text beneath a row, with or without a label.
type note struct {
	label, text string
}

// paint colours a text that has been wrapped and measured already.
type paint func(string) string

// grid draws rows in columns that fit a width.
//
// tablewriter does the drawing. It is given cells that are wrapped and widths that
// are decided: its own wrapping knows nothing of ARNs, and the tables of one
// report, which are drawn piece by piece around the notes, have to line up.
type grid struct {
	out   *bytes.Buffer
	width int
	cols  []column
	pens  pens
}

// draw writes the header and the rows.
func (g grid) draw(rows []gridRow) error {
	if len(rows) == 0 {
		return nil
	}
	cols, rows := g.dropEmpty(rows)
	avail := g.width - gridIndent
	widths := layout(cols, rows, avail)
	for c := len(cols) - 1; c >= 0 && taken(widths) > avail; c-- {
		if cols[c].spare {
			cols, rows = without(cols, rows, c)
			widths = layout(cols, rows, avail)
		}
	}
	if c := spilling(cols, rows, widths, taken(widths) > avail); c >= 0 {
		cols, rows = spill(cols, rows, c)
		widths = layout(cols, rows, avail)
	}
	if err := g.table(cols, widths, nil, true); err != nil {
		return err
	}
	for start := 0; start < len(rows); {
		first := rows[start]
		end := start + 1
		for len(first.notes) == 0 && end < len(rows) && len(rows[end].notes) == 0 && rows[end].continues(first) {
			end++
		}
		if first.heading != "" {
			if start > 0 {
				g.blank()
			}
			g.line(first.heading, 0, g.pens.strong)
		}
		if err := g.table(cols, widths, rows[start:end], false); err != nil {
			return err
		}
		g.notes(first.notes, widths[0])
		if end == len(rows) || !rows[end].continues(first) {
			g.notes([]note{first.shared}, widths[0])
		}
		start = end
	}
	return nil
}

// continues says that a row belongs to the same run as the one before it.
func (r gridRow) continues(before gridRow) bool {
	return r.heading == "" && r.shared == before.shared
}

// taken is how wide columns of these widths are together.
func taken(widths []int) int {
	total := gridGap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	return total
}

// spilling returns the column whose texts are too long for it, or for which there is
// no room at all, or -1.
func spilling(cols []column, rows []gridRow, widths []int, over bool) int {
	for c, col := range cols {
		if !col.spills || len(cols) == 1 {
			continue
		}
		if over {
			return c
		}
		for _, r := range rows {
			if len(wrap(r.cells[c], widths[c])) > maxCellLines {
				return c
			}
		}
	}
	return -1
}

// spill moves a column to the notes.
func spill(cols []column, rows []gridRow, c int) ([]column, []gridRow) {
	said := make([]string, len(rows))
	for i, r := range rows {
		said[i] = r.cells[c]
	}
	cols, rows = without(cols, rows, c)
	for i, text := range said {
		if text != "" {
			rows[i].notes = append([]note{{text: text}}, rows[i].notes...)
		}
	}
	return cols, rows
}

// without leaves a column out.
func without(cols []column, rows []gridRow, c int) ([]column, []gridRow) {
	out := make([]gridRow, len(rows))
	for i, r := range rows {
		r.cells = slices.Delete(slices.Clone(r.cells), c, c+1)
		moved := map[int]paint{}
		for k, p := range r.paint {
			switch {
			case k < c:
				moved[k] = p
			case k > c:
				moved[k-1] = p
			}
		}
		r.paint = moved
		out[i] = r
	}
	return slices.Delete(slices.Clone(cols), c, c+1), out
}

// dropEmpty leaves out the columns in which no row says anything.
func (g grid) dropEmpty(rows []gridRow) ([]column, []gridRow) {
	var keep []int
	for c := range g.cols {
		if slices.ContainsFunc(rows, func(r gridRow) bool { return r.cells[c] != "" }) {
			keep = append(keep, c)
		}
	}
	cols := make([]column, len(keep))
	out := make([]gridRow, len(rows))
	for i, r := range rows {
		kept := r
		kept.cells, kept.paint = make([]string, len(keep)), map[int]paint{}
		for to, from := range keep {
			cols[to] = g.cols[from]
			kept.cells[to] = r.cells[from]
			if p := r.paint[from]; p != nil {
				kept.paint[to] = p
			}
		}
		out[i] = kept
	}
	return cols, out
}

// layout gives every column the width it wants. When that is too much, the widest
// gives way first, down to the least it can do with.
func layout(cols []column, rows []gridRow, avail int) []int {
	widths := make([]int, len(cols))
	total := gridGap * (len(cols) - 1)
	for c, col := range cols {
		widths[c] = displayWidth(col.title)
		for _, r := range rows {
			widths[c] = max(widths[c], displayWidth(r.cells[c]))
		}
		total += widths[c]
	}
	for ; total > avail; total-- {
		widest := -1
		for c, col := range cols {
			if widths[c] > col.min && (widest < 0 || widths[c] > widths[widest]) {
				widest = c
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// table draws the header, or rows that stand together.
func (g grid) table(cols []column, widths []int, rows []gridRow, header bool) error {
	aligns := make(tw.Alignment, len(cols))
	fixed := tw.NewMapper[int, int]()
	for c, w := range widths {
		if c < len(widths)-1 {
			w += gridGap
		}
		fixed.Set(c, w)
		aligns[c] = cols[c].align
	}
	var drawn bytes.Buffer
	t := tablewriter.NewTable(&drawn,
		tablewriter.WithRenderer(blueprint.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithHeaderPaddingPerColumn(padding(len(cols))),
		tablewriter.WithRowPaddingPerColumn(padding(len(cols))),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithTrimLine(tw.Off),
		tablewriter.WithColumnWidths(fixed),
		// The widths of the report do not depend on the reader's locale.
		tablewriter.WithEastAsian(tw.Off),
	)
	if header {
		titles := make([]string, len(cols))
		for c, col := range cols {
			titles[c] = painted(wrap(strings.ToUpper(col.title), widths[c]), g.pens.faint)
		}
		t.Header(titles)
	} else {
		cells := make([][]string, len(rows))
		for i, r := range rows {
			cells[i] = make([]string, len(cols))
			for c, text := range r.cells {
				cells[i][c] = painted(wrap(text, widths[c]), r.paint[c])
			}
		}
		if err := t.Bulk(cells); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	for line := range strings.Lines(drawn.String()) {
		g.out.WriteString(strings.TrimRight(strings.Repeat(" ", gridIndent)+line, " \n"))
		g.out.WriteByte('\n')
	}
	return nil
}

// padding is what parts a column from the next; the last has none.
func padding(n int) []tw.Padding {
	p := make([]tw.Padding, n)
	for i := range p {
		p[i] = tw.Padding{Right: strings.Repeat(" ", gridGap), Overwrite: true}
	}
	p[n-1] = tw.PaddingNone
	return p
}

func painted(lines []string, p paint) string {
	if p != nil {
		for i, l := range lines {
			if l != "" {
				lines[i] = p(l)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// notes writes what stands beneath a row, from the second column on where that
// is near: the first column stays free, so that rows are told apart at a glance.
func (g grid) notes(ns []note, first int) {
	indent := gridIndent + first + gridGap
	if indent > 2*gridIndent+10 {
		indent = 3 * gridIndent
	}
	for _, n := range ns {
		label := n.label
		if label != "" {
			label += ": "
		}
		if n.text != "" {
			g.hang(strings.Repeat(" ", indent)+label, n.text, nil)
		}
	}
}

// hang writes a text after a prefix, its further lines indented as far.
func (g grid) hang(prefix, text string, p paint) { g.lead(prefix, nil, text, p) }

// lead is hang with a painted prefix. Whatever is painted is measured before.
func (g grid) lead(prefix string, pp paint, text string, p paint) {
	at := displayWidth(prefix)
	room := max(20, g.width-at)
	lines := wrap(text, room)
	if isCommand(text) {
		lines = wrapCommand(text, room)
	}
	for i, l := range lines {
		before := strings.Repeat(" ", at)
		if i == 0 {
			before = painted([]string{prefix}, pp)
		}
		g.out.WriteString(strings.TrimRight(before+painted([]string{l}, p), " ") + "\n")
	}
}

// line writes a text that spans the grid.
func (g grid) line(text string, indent int, p paint) {
	g.hang(strings.Repeat(" ", indent), text, p)
}

// blank writes an empty line.
func (g grid) blank() { g.out.WriteByte('\n') }

// pens are the colours of one writer. Without colour they change nothing.
type pens struct {
	strong, faint, bad, warn, good paint
}

func newPens(on bool) pens {
	pen := func(attrs ...color.Attribute) paint {
		c := color.New(attrs...)
		// Said of each colour: fatih/color would ask the process's terminal.
		if on {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
		return func(s string) string { return c.Sprint(s) }
	}
	return pens{
		strong: pen(color.Bold),
		faint:  pen(color.Faint),
		bad:    pen(color.FgRed, color.Bold),
		warn:   pen(color.FgYellow),
		good:   pen(color.FgGreen, color.Bold),
	}
}

// newGrid returns a page to write on, which flush sends to w in one piece.
func newGrid(s Style) grid {
	return grid{out: new(bytes.Buffer), width: s.width(), pens: newPens(s.Color)}
}

// with returns the same page with other columns.
func (g grid) with(cols ...column) grid {
	g.cols = cols
	return g
}

func (g grid) flush(w io.Writer) error {
	_, err := w.Write(g.out.Bytes())
	return err
}
