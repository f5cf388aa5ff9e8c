package schedule

import "fmt"

// Choice is an engine of AWS's for an organization, and why it is that one.
type Choice struct {
	Engine   string `json:"engine"` // "lambda" or "stepfunctions"
	Chosen   bool   `json:"chosen"` // by somebody, not by the size
	Accounts int    `json:"accounts"`
	Regions  int    `json:"regions"`
	Cells    int    `json:"cells"` // account × Region
	// Limit is how many cells one function is trusted with.
	Limit int `json:"limit"`
}

// FunctionCells is how many account × Region one function is trusted with. A function
// has a quarter of an hour. An audit of 17,000 cells was measured at 73 seconds, of
// which the processor was busy for 39; a function of 2,048 MB has about one processor,
// and AWS throttles and is further away. What is left is a factor of about ten, which
// is for controls beyond the measured ones and for bad days.
//
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const FunctionCells = 10_000

// Choose picks the engine: the asked one ("" or "auto" for none), or by size.
func Choose(asked string, accounts, regions int) Choice {
	c := Choice{Engine: asked, Chosen: true, Accounts: accounts, Regions: regions, Cells: accounts * regions, Limit: FunctionCells}
	if asked == "" || asked == "auto" {
		c.Chosen, c.Engine = false, "lambda"
		if c.Cells > c.Limit {
			c.Engine = "stepfunctions"
		}
	}
	return c
}

// String is the choice in a sentence.
func (c Choice) String() string {
	size := fmt.Sprintf("%d accounts × %d Regions are %d to look at, and one function is trusted with %d in its 15 minutes", c.Accounts, c.Regions, c.Cells, c.Limit)
	switch {
	case c.Chosen && c.Engine == "lambda" && c.Cells > c.Limit:
		return "engine lambda, as asked for, but " + size + ": what it does not get to is not assessed"
	case c.Chosen:
		return "engine " + c.Engine + ", as asked for: " + size
	case c.Engine == "lambda":
		return "engine lambda, one function: " + size
	}
	return "engine stepfunctions, a function for each part of the accounts: " + size
}
