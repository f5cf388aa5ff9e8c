package reports

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/finding"
)

// allAudit is an audit that lists what is in sync as well.
func allAudit() Audit {
	a := driftAudit()
	a.Organization.Accounts = 15
	a.Controls = []Control{
		{ID: "config-recorder", Title: "AWS Config records everything", Severity: finding.Critical, Scope: "every account and Region"},
		{ID: "config-change-alert", Title: "Somebody is told when AWS Config is changed", Severity: finding.High, Scope: "every account and Region"},
	}
	for i := range 9 {
		for _, region := range testOrganization.Regions {
			for _, control := range []string{"config-change-alert", "config-delivery", "config-recorder", "root-signin-alert"} {
				f := finding.Finding{
					Account: fmt.Sprintf("4%011d", i), AccountName: fmt.Sprintf("team-%d", i), OUPath: "Root/Teams", Region: region,
					Control: control, Resource: "default", Status: finding.InSync, Severity: finding.High, Reason: "as configured",
				}
				if control == "root-signin-alert" && region != "us-east-1" {
					f.Status, f.Reason = finding.NotApplicable, "only in us-east-1"
				}
				a.Findings = append(a.Findings, f)
			}
		}
	}
	a.Findings = append(a.Findings, finding.Finding{
		Account: "400000000003", AccountName: "team-3", OUPath: "Root/Teams", Region: "us-east-1", Control: "config-recorder",
		Resource: "default", Status: finding.Drift, Severity: finding.Low, Reason: "the recorder keeps less than it should",
		Expected: map[string]any{"allSupported": true, "includeGlobal": true, "mode": "CONTINUOUS", "retention": 2557},
		Actual:   map[string]any{"allSupported": false, "includeGlobal": true, "mode": "DAILY", "retention": 2557},
		Fix:      "orgguard rollout --account 400000000003 --control config-recorder",
	})
	finding.Sort(a.Findings)
	a.Summary = finding.Summarize(a.Findings)
	return a
}

// wideAudit has more controls and Regions than a phone is wide.
func wideAudit() Audit {
	a := cleanAudit()
	for i := range 40 {
		a.Findings = append(a.Findings, finding.Finding{
			Account: "300000000001", AccountName: "shop-prod", Region: fmt.Sprintf("region-%d", i), Control: fmt.Sprintf("a-control-with-a-long-name-%02d", i),
			Status: finding.Drift, Severity: finding.High, Reason: "off", Fix: "orgguard rollout --control " + strings.Repeat("x", 300),
		})
	}
	a.Summary = finding.Summarize(a.Findings)
	return a
}

// manyFindings has a hundred thousand of them.
func manyFindings() Audit {
	a := Audit{GeneratedAt: generated, ToolVersion: "v0.1.0", Organization: testOrganization}
	a.Organization.Accounts = 2500
	severities := []finding.Severity{finding.Critical, finding.High, finding.Medium, finding.Low}
	regions := []string{"ap-northeast-1", "eu-central-1", "us-east-1", "us-west-2"}
	for i := range 100_000 {
		a.Findings = append(a.Findings, finding.Finding{
			Account: fmt.Sprintf("7%011d", i/40), AccountName: fmt.Sprintf("team-%04d", i/40), OUPath: fmt.Sprintf("Root/Unit-%d", i/4000),
			Region: regions[i%4], Control: fmt.Sprintf("control-%02d", i/4%10), Resource: fmt.Sprintf("recorder-%d", i),
			Status: finding.Statuses[i%3], Severity: severities[i%4], Reason: fmt.Sprintf("it has been off for %d days", i%90),
			Expected: map[string]any{"recording": true}, Actual: map[string]any{"recording": false}, Fix: "orgguard rollout",
		})
	}
	a.Summary = finding.Summarize(a.Findings)
	return a
}

const result = `document.getElementById("result").textContent`

// typed fills in a field as a reader does.
func typed(field, value string) string {
	return fmt.Sprintf(`(() => { const e = document.getElementById(%q); e.value = %q;
		e.dispatchEvent(new Event("input", { bubbles: true })); return %s; })()`, field, value, result)
}

func TestHTMLInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser has no data races of ours")
	}
	b := newBrowser(t)
	b.view(1280, 900, "light", "")

	b.run(t, "it shows the findings, the worst first", func(t *testing.T) {
		b.open(page(t, allAudit()))
		if got, want := eval[string](b, result), "91 findings"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		first := eval[string](b, `document.querySelector("#list li").textContent`)
		if !strings.Contains(first, "CRITICAL") || !strings.Contains(first, "the recorder is stopped") {
			t.Errorf("the first finding is %q", first)
		}
		b.quiet()
	})

	b.run(t, "filters narrow it", func(t *testing.T) {
		for _, tt := range []struct{ field, value, want string }{
			{"status", "drift", "5 findings of 91"},
			{"severity", "critical", "1 finding of 91"},
			{"account", "shop-dev", "2 findings of 91"},
			{"account", "300000000003", "12 findings of 91"},
			{"account", "root/sandbox", "2 findings of 91"},
			{"control", "scp-protect-config", "1 finding of 91"},
			{"region", "global", "5 findings of 91"},
			{"q", "STOPPED recorder", "1 finding of 91"},
			{"q", "allSupported", "1 finding of 91"},
			{"q", "no such thing", "No finding matches of 91."},
		} {
			eval[any](b, `document.getElementById("filter").reset()`)
			if got := eval[string](b, typed(tt.field, tt.value)); got != tt.want {
				t.Errorf("%s %q: %q, want %q", tt.field, tt.value, got, tt.want)
			}
		}
		eval[any](b, `document.getElementById("filter").reset()`)
		if got := eval[string](b, result); got != "91 findings" {
			t.Errorf("cleared: %q", got)
		}
		b.quiet()
	})

	b.run(t, "a filter is in the address, and an address is a filter", func(t *testing.T) {
		eval[string](b, typed("region", "global"))
		eval[string](b, typed("status", "not_assessed"))
		hash := eval[string](b, "location.hash")
		eval[any](b, `document.getElementById("filter").reset()`)
		want := "4 findings of 91"
		got := eval[string](b, `new Promise((done) => { addEventListener("hashchange", () => setTimeout(() => done(`+result+`)), { once: true });
			location.hash = `+quoted(hash)+`; })`)
		if got != want {
			t.Errorf("%s: %q, want %q", hash, got, want)
		}
		b.quiet()
	})

	b.run(t, "every finding has an address that opens it", func(t *testing.T) {
		a := allAudit()
		ids := Identify(a.Findings)
		for i, f := range a.Findings {
			if f.Severity == finding.Low && f.Status == finding.Drift {
				b.open(page(t, a) + "#f-" + ids[i])
			}
		}
		got := eval[string](b, `document.querySelector("details[open] .diff").innerText`)
		want := "  {\n−   \"allSupported\": true,\n+   \"allSupported\": false,\n    \"includeGlobal\": true,\n−   \"mode\": \"CONTINUOUS\",\n" +
			"+   \"mode\": \"DAILY\",\n    \"retention\": 2557\n  }"
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("the difference is\n%s\nwant\n%s", got, want)
		}
		if open := eval[int](b, `document.querySelectorAll("details[open]").length`); open != 1 {
			t.Errorf("%d findings are open", open)
		}
		if !eval[bool](b, `document.activeElement.tagName === "SUMMARY" && !!document.activeElement.closest("details[open]")`) {
			t.Error("the finding has not the focus")
		}
		b.picture("finding-light")
		b.quiet()
	})

	b.run(t, "the maps lead to their findings, by mouse and by keyboard", func(t *testing.T) {
		b.open(page(t, allAudit()))
		got := eval[string](b, `new Promise((done) => { addEventListener("hashchange", () => setTimeout(() => done(`+result+`)), { once: true });
			document.querySelector('#heat-map a[aria-label^="shop-dev, config-change-alert"]').click(); })`)
		if got != "2 findings of 91" {
			t.Errorf("a cell of the map shows %q", got)
		}
		moved := eval[[]string](b, `(() => { const from = document.querySelector('#heat-map a[tabindex="0"]'); from.focus();
			const before = document.activeElement.getAttribute("aria-label");
			from.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
			from.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
			return [before, document.activeElement.getAttribute("aria-label"),
				String(document.querySelectorAll('#heat-map a[tabindex="0"]').length)]; })()`)
		if moved[0] == moved[1] || moved[2] != "1" {
			t.Errorf("arrow keys: from %q to %q, %s stops", moved[0], moved[1], moved[2])
		}
		if n := eval[int](b, `document.querySelectorAll("#region-map tbody tr").length`); n != 3 {
			t.Errorf("%d Regions in the map", n)
		}
		b.quiet()
	})

	b.run(t, "with a history there is a trend, and what is news can be picked", func(t *testing.T) {
		b.open(page(t, sinceAudit()))
		if got := eval[string](b, typed("change", "new")); got != "1 finding of 18" {
			t.Errorf("new: %q", got)
		}
		if got := eval[string](b, `document.querySelector("#list li .news").textContent`); got != "NEW" {
			t.Errorf("the badge says %q", got)
		}
		if n := eval[int](b, `document.querySelectorAll("svg.trend rect").length`); n != 7*5 {
			t.Errorf("%d bars", n)
		}
		if got := eval[string](b, `document.querySelector("svg.trend").getAttribute("aria-label")`); got != "Findings of 7 runs: 6 of drift and 12 not assessed on 2026-03-08 09:26 UTC; 6 and 12 on 2026-03-14 09:26 UTC" {
			t.Errorf("the picture is called %q", got)
		}
		if got := eval[string](b, `getComputedStyle(document.querySelector("svg.trend rect.critical")).fill`); got != "rgb(139, 26, 26)" {
			t.Errorf("a bar is %s", got)
		}
		if got := eval[string](b, `document.querySelector("#gone tbody").innerText`); !strings.Contains(got, "resolved") || !strings.Contains(got, "not looked at again") {
			t.Errorf("what was open before: %q", got)
		}
		b.quiet()
	})

	for _, tt := range []struct {
		name  string
		audit Audit
	}{{"drift", allAudit()}, {"clean", cleanAudit()}, {"hostile", hostileAudit()}, {"empty", Audit{}}, {"large", largeAudit()}, {"wide", wideAudit()}, {"since", sinceAudit()}} {
		b.run(t, tt.name+": fits, reads and names everything, in light and dark", func(t *testing.T) {
			address := page(t, tt.audit)
			for _, scheme := range []string{"light", "dark"} {
				for _, width := range []int{360, 768, 1280} {
					if scheme == "dark" && width == 768 {
						continue // no colour depends on the width
					}
					b.view(width, 800, scheme, "")
					b.open(address)
					eval[any](b, `document.querySelectorAll("#list details").forEach((d, i) => { if (i < 12) d.open = true; })`)
					// A finding is filled in when it has been opened, which is told later.
					eval[any](b, `new Promise((done) => setTimeout(done))`)
					if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > width {
						t.Errorf("%s at %d: %d wide, because of %s", scheme, width, wide, eval[string](b, widest))
					}
					for _, bad := range eval[[]string](b, contrast) {
						t.Errorf("%s at %d: contrast: %s", scheme, width, bad)
					}
					b.quiet()
					b.picture(fmt.Sprintf("%s-%s-%d", tt.name, scheme, width))
				}
			}
			unnamed(t, b)
		})
	}

	b.run(t, "nothing hostile runs or becomes an element", func(t *testing.T) {
		b.view(1280, 900, "light", "")
		b.open(page(t, hostileAudit()))
		for _, status := range []string{"drift", "not_assessed", "exempt"} {
			eval[string](b, typed("status", status))
			eval[any](b, `document.querySelectorAll("#list details").forEach((d) => { d.open = true; })`)
			if n := eval[int](b, `document.querySelectorAll("img, iframe, script[src], link, object, embed, a[href^='http'], a[href^='javascript']").length`); n != 0 {
				t.Errorf("%d foreign elements", n)
			}
		}
		if got := eval[string](b, typed("q", "<script>alert(1)")); !strings.HasPrefix(got, "1 finding of") {
			t.Errorf("searching for markup: %q", got)
		}
		if n := eval[int](b, `document.scripts.length`); n != 2 {
			t.Errorf("%d scripts", n)
		}
		b.quiet()
	})

	b.run(t, "a hundred thousand findings are searched and paged", func(t *testing.T) {
		b.view(1280, 900, "light", "")
		b.open(page(t, manyFindings()))
		for _, tt := range []struct{ script, want string }{
			{result, "100,000 findings"},
			{typed("q", "team-0042 control-03"), "4 findings of 100,000"},
			{typed("q", "recorder-99999"), "1 finding of 100,000"},
			{typed("q", ""), "100,000 findings"},
			{typed("sort", "account"), "100,000 findings"},
			{`document.getElementById("next").click(), document.getElementById("page").textContent`, "Page 2 of 2,000"},
		} {
			if got := eval[string](b, tt.script); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.script, got, tt.want)
			}
		}
		if n := eval[int](b, `document.querySelectorAll("#list li").length`); n != 50 {
			t.Errorf("%d findings are drawn", n)
		}
		took := eval[float64](b, `(() => { const t = performance.now(); `+typed("q", "days team-1")+`; return performance.now() - t; })()`)
		t.Logf("a search takes %.0f ms", took)
		if took > 3000 {
			t.Errorf("a search takes %.0f ms", took)
		}
		b.picture("many-light-1280")
		b.quiet()
	})

	b.run(t, "on paper everything is open, and nothing is left to press", func(t *testing.T) {
		b.view(1000, 1400, "dark", "print")
		b.open(page(t, allAudit()))
		eval[any](b, `dispatchEvent(new Event("beforeprint"))`)
		if n := eval[int](b, `[...document.querySelectorAll("#list details")].filter((d) => d.open && d.querySelector(".detail")).length`); n != 91 {
			t.Errorf("%d of 91 findings are open", n)
		}
		if n := eval[int](b, `[...document.querySelectorAll("button, input, select")].filter((e) => e.checkVisibility()).length`); n != 0 {
			t.Errorf("%d things to press are printed", n)
		}
		for _, bad := range eval[[]string](b, contrast) {
			t.Errorf("contrast: %s", bad)
		}
		b.picture("print")
		eval[any](b, `dispatchEvent(new Event("afterprint"))`)
		if n := eval[int](b, `document.querySelectorAll("#list li").length`); n != 50 {
			t.Errorf("%d findings afterwards", n)
		}
		var pdf struct {
			Data string `json:"data"`
		}
		b.call("Page.printToPDF", map[string]any{"printBackground": true}, &pdf)
		if len(pdf.Data) < 10_000 {
			t.Errorf("the PDF has %d characters", len(pdf.Data))
		}
		if *screenshots != "" {
			b.keep("print.pdf", pdf.Data)
		}
		b.quiet()
	})

	b.run(t, "without scripts it can still be read", func(t *testing.T) {
		b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
		b.view(360, 800, "light", "")
		b.open(page(t, largeAudit()))
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 360 {
			t.Errorf("%d wide", wide)
		}
		if n := eval[int](b, `[...document.querySelectorAll(".plain tbody tr")].filter((e) => e.checkVisibility()).length`); n != maxNoScript {
			t.Errorf("%d findings in the table", n)
		}
		b.picture("noscript-360")
		b.view(1280, 800, "light", "")
		b.picture("noscript-1280")
		b.quiet()
	})
}

// widest names what sticks out.
const widest = `[...document.querySelectorAll("body *")].filter((e) => !e.closest(".map, .scroll, .skip") &&
	e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" ; ")`

// contrast lists the texts that are hard to read, as WCAG 2 reckons it: 4.5 to 1.
const contrast = `(() => {
	const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
	const linear = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
	const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
	const behind = (e) => {
		for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; }
		return [255, 255, 255, 1];
	};
	const bad = new Set();
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || e.closest(".skip, .hidden, script, datalist, option, :disabled")) continue;
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && !e.matches("input, select")) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (!(ratio >= 4.5)) bad.add(e.tagName + "." + e.className + " " + ratio.toFixed(2) + " " + getComputedStyle(e).color + " on " + behind(e));
	}
	return [...bad];
})()`

// unnamed fails for whatever a screen reader could not name, and for a page without
// landmarks.
func unnamed(t *testing.T, b *browser) {
	t.Helper()
	type value struct {
		Value json.RawMessage `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			Ignored bool  `json:"ignored"`
			Role    value `json:"role"`
			Name    value `json:"name"`
		} `json:"nodes"`
	}
	b.call("Accessibility.getFullAXTree", nil, &tree)
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		var role, name string
		_ = json.Unmarshal(n.Role.Value, &role)
		_ = json.Unmarshal(n.Name.Value, &name)
		roles[role]++
		switch role {
		case "button", "link", "textbox", "searchbox", "combobox", "heading", "table", "region", "navigation", "search", "DisclosureTriangle", "RootWebArea":
			if strings.TrimSpace(name) == "" {
				t.Errorf("a %s has no name", role)
			}
		}
	}
	for _, role := range []string{"banner", "main", "contentinfo", "heading", "status"} {
		if roles[role] == 0 {
			t.Errorf("there is no %s", role)
		}
	}
	if n := eval[int](b, `document.querySelectorAll("h1").length`); n != 1 {
		t.Errorf("%d headings of the first rank", n)
	}
	if n := eval[int](b, `[...document.querySelectorAll("[id]")].length - new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size`); n != 0 {
		t.Errorf("%d ids twice", n)
	}
}
