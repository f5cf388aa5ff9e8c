"use strict";
(() => {
  // Every text in the data is foreign. It is only ever set as text, never as HTML.
  const data = JSON.parse(document.getElementById("data").textContent);
  const ID = 0, ACCOUNT = 1, REGION = 2, CONTROL = 3, STATUS = 4, SEVERITY = 5,
    RESOURCE = 6, REASON = 7, EXPECTED = 8, ACTUAL = 9, FIX = 10, CHANGE = 11, FIRST = 12;
  const { rows, accounts, regions, controls, texts, statuses, severities, changes } = data;
  const perPage = 50, mapRows = 25, printed = 500, drift = 0;

  const $ = (id) => document.getElementById(id);
  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
  const plural = (n, one, many) => number(n) + " " + (n === 1 ? one : many);
  function make(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    e.append(...children.filter((c) => c !== null && c !== ""));
    return e;
  }

  // What the reader asks for. It is kept in the address, so that it can be linked.
  const blank = { q: "", status: "", severity: "", account: "", control: "", region: "", sort: "", change: "" };
  let asked = { ...blank }, page = 0, shown = [];

  // Texts repeat, so a search looks at each of them once, and then at the rows.
  const lower = (list) => list.map((s) => s.toLowerCase());
  const lowTexts = lower(texts);
  const lowAccounts = lower(accounts.map((a) => a.join(" ")));
  const lowRegions = lower(regions);
  const lowControls = lower(controls.map((c) => c.join(" ")));
  const lowStatuses = lower(statuses.map((s) => s[1]));
  const hits = (list, term) => Uint8Array.from(list, (s) => s.includes(term) ? 1 : 0);

  function filter() {
    const terms = asked.q.toLowerCase().split(/\s+/).filter(Boolean).map((term) => ({
      term, text: hits(lowTexts, term), account: hits(lowAccounts, term), region: hits(lowRegions, term),
      control: hits(lowControls, term), status: hits(lowStatuses, term),
    }));
    const status = statuses.findIndex((s) => s[0] === asked.status);
    const severity = severities.indexOf(asked.severity);
    const control = controls.findIndex((c) => c[0] === asked.control);
    const region = regions.indexOf(asked.region);
    const change = changes.findIndex((c) => c[0] === asked.change);
    const account = asked.account ? hits(lowAccounts, asked.account.toLowerCase().trim()) : null;
    shown = [];
    for (let i = 0; i < rows.length; i++) {
      const r = rows[i];
      if (asked.status && r[STATUS] !== status || asked.severity && r[SEVERITY] !== severity ||
        asked.control && r[CONTROL] !== control || asked.region && r[REGION] !== region ||
        asked.change && r[CHANGE] !== change ||
        account && !account[r[ACCOUNT]]) continue;
      if (terms.every((t) => t.account[r[ACCOUNT]] || t.region[r[REGION]] || t.control[r[CONTROL]] || t.status[r[STATUS]] ||
        t.text[r[RESOURCE]] || t.text[r[REASON]] || t.text[r[FIX]] || t.text[r[EXPECTED]] || t.text[r[ACTUAL]] ||
        r[ID].startsWith(t.term))) shown.push(i);
    }
    const order = orders[asked.sort];
    if (order) shown.sort((a, b) => order(rows[a], rows[b]));
  }

  const byText = (list, column) => {
    const rank = new Uint32Array(list.length);
    list.map((s, i) => [s, i]).sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0).forEach((p, n) => { rank[p[1]] = n; });
    return (a, b) => rank[a[column]] - rank[b[column]];
  };
  const orders = {
    account: byText(accounts.map((a) => a[0]), ACCOUNT),
    region: byText(regions, REGION),
    control: byText(controls.map((c) => c[0]), CONTROL),
  };

  function draw(limit) {
    const from = limit ? 0 : page * perPage;
    const slice = shown.slice(from, from + (limit || perPage));
    $("list").replaceChildren(...slice.map(entry));
    const pages = Math.max(1, Math.ceil(shown.length / perPage));
    const narrowed = shown.length !== rows.length ? " of " + number(rows.length) : "";
    let text = plural(shown.length, "finding", "findings") + narrowed;
    if (rows.length === 0) text = "No findings to list.";
    else if (shown.length === 0) text = "No finding matches" + narrowed + ".";
    if (limit && shown.length > limit) text += ", the first " + number(limit) + " of them printed";
    $("result").textContent = text;
    $("pages").hidden = pages < 2;
    $("page").textContent = "Page " + number(page + 1) + " of " + number(pages);
    $("previous").disabled = page === 0;
    $("next").disabled = page >= pages - 1;
  }

  const news = (r) => r[CHANGE] >= 0 && ["new", "worse"].includes(changes[r[CHANGE]][0])
    ? make("span", { class: "badge news" }, changes[r[CHANGE]][1].toUpperCase()) : null;
  const badge = (r) => r[STATUS] === drift
    ? make("span", { class: "badge " + severities[r[SEVERITY]] }, severities[r[SEVERITY]].toUpperCase())
    : make("span", { class: "badge " + statuses[r[STATUS]][0] }, statuses[r[STATUS]][1]);

  function entry(i) {
    const r = rows[i], [account, name, ou] = accounts[r[ACCOUNT]];
    const resource = texts[r[RESOURCE]], reason = texts[r[REASON]];
    const details = make("details", {},
      make("summary", {},
        make("span", {}, badge(r), " ", news(r)),
        make("span", {}, account || "organization", " ", make("small", {}, [name, ou].filter(Boolean).join(" · "))),
        make("span", {}, regions[r[REGION]]),
        make("span", {}, controls[r[CONTROL]][0]),
        make("span", { class: "what" }, reason || statuses[r[STATUS]][1], " ", resource ? make("small", {}, resource) : null)));
    details.addEventListener("toggle", () => { if (details.open) unfold(details, r); });
    // Not an id: the browser would go there by itself, and take the focus away again.
    return make("li", { "data-finding": r[ID] }, details);
  }

  function unfold(details, r) {
    if (details.children.length > 1) return;
    const [account, name, ou] = accounts[r[ACCOUNT]], [control, title] = controls[r[CONTROL]];
    const list = make("dl");
    const say = (term, ...value) => {
      if (value.some((v) => v !== "")) list.append(make("dt", {}, term), make("dd", {}, ...value));
    };
    say("Control", control, title ? ": " + title : "");
    say("Status", statuses[r[STATUS]][1] + (r[SEVERITY] < severities.length - 1 ? ", " + severities[r[SEVERITY]] : ""));
    say("Account", [account || "organization", name].filter(Boolean).join(" "));
    say("OU", ou);
    say("Region", regions[r[REGION]]);
    say("Resource", texts[r[RESOURCE]]);
    say("Since the run before", r[CHANGE] < 0 ? "" : changes[r[CHANGE]][1]);
    say("First seen", texts[r[FIRST]]);
    say("Reason", texts[r[REASON]]);
    if (texts[r[FIX]]) {
      list.append(make("dt", {}, "Fix"),
        make("dd", { class: "fix" }, /^(orgguard|aws) /.test(texts[r[FIX]]) ? make("code", {}, texts[r[FIX]]) : texts[r[FIX]]));
    }
    say("Link", make("a", { href: "#f-" + r[ID] }, "f-" + r[ID]));
    const body = make("div", { class: "detail" }, list);
    if (r[EXPECTED] || r[ACTUAL]) {
      body.append(make("h3", {}, "Expected (−) and actual (+)"), diff(texts[r[EXPECTED]], texts[r[ACTUAL]]));
    }
    details.append(body);
  }

  // diff shows two texts line by line. Beyond what is worth comparing they stand one
  // after the other.
  function diff(expected, actual) {
    const a = expected ? expected.split("\n") : [], b = actual ? actual.split("\n") : [];
    const out = make("pre", { class: "diff" });
    const line = (kind, mark, text) => out.append(make("span", kind ? { class: kind } : {}, mark + " " + text));
    if (a.length * b.length > 4e6) {
      a.forEach((s) => line("minus", "−", s));
      b.forEach((s) => line("plus", "+", s));
      return out;
    }
    const width = b.length + 1, same = new Uint32Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        same[i * width + j] = a[i] === b[j] ? same[(i + 1) * width + j + 1] + 1
          : Math.max(same[(i + 1) * width + j], same[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      if (i < a.length && j < b.length && a[i] === b[j]) { line("", " ", a[i]); i++; j++; }
      else if (j >= b.length || i < a.length && same[(i + 1) * width + j] >= same[i * width + j + 1]) line("minus", "−", a[i++]);
      else line("plus", "+", b[j++]);
    }
    return out;
  }

  // The maps: the worst of every account or Region and control.
  function tally(column, size) {
    const cells = new Map(), worst = new Array(size).fill(null);
    for (const r of rows) {
      const key = r[column] * controls.length + r[CONTROL];
      let c = cells.get(key);
      if (!c) cells.set(key, c = { counts: new Array(statuses.length).fill(0), severity: severities.length - 1 });
      c.counts[r[STATUS]]++;
      if (r[STATUS] === drift) c.severity = Math.min(c.severity, r[SEVERITY]);
      const w = worst[r[column]] || (worst[r[column]] = { drift: 0, severity: 9, status: 9 });
      w.status = Math.min(w.status, r[STATUS]);
      if (r[STATUS] === drift) { w.drift++; w.severity = Math.min(w.severity, r[SEVERITY]); }
    }
    return { cells, worst };
  }

  const marks = { not_assessed: "?", exempt: "e", in_sync: "✓", not_applicable: "–" };

  function cell(c, name, control, query) {
    if (!c) return make("td", {}, make("span", { class: "cell" }, make("span", { class: "hidden" }, "nothing listed")));
    const status = c.counts.findIndex((n) => n > 0);
    const kind = status === drift ? severities[c.severity] : statuses[status][0];
    const words = c.counts.map((n, s) => n ? n + " " + statuses[s][1] : "").filter(Boolean).join(", ") +
      (status === drift ? ", the worst " + severities[c.severity] : "");
    const link = new URLSearchParams({ ...query, control });
    return make("td", {}, make("a", {
      class: "cell " + kind, href: "#" + link, tabindex: "-1", title: name + ", " + control + ": " + words,
      "aria-label": name + ", " + control + ": " + words,
    }, status === drift ? number(c.counts[drift]) : marks[statuses[status][0]]));
  }

  function map(into, label, list, cells, head) {
    const table = make("table", {},
      make("caption", { class: "hidden" }, label),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, head.column),
        ...controls.map(([id, title]) => make("th", title ? { scope: "col", title } : { scope: "col" }, make("span", {}, id))))),
      make("tbody", {}, ...list.map((i) => make("tr", {}, make("th", { scope: "row" }, make("div", { class: "who" }, ...head.name(i))),
        ...controls.map(([id], c) => cell(cells.get(i * controls.length + c), head.words(i), id, head.query(i)))))));
    into.replaceChildren(table);
    const first = table.querySelector("a");
    if (first) first.tabIndex = 0;
  }

  // In a map the arrow keys move; Tab leaves it.
  function arrows(event) {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const from = event.target.closest("td");
    if (!step || !from) return;
    const body = from.parentElement.parentElement;
    let y = from.parentElement.sectionRowIndex, x = from.cellIndex;
    for (;;) {
      y += step[0]; x += step[1];
      const next = body.rows[y] && body.rows[y].cells[x];
      if (!next || next.tagName === "TH") return;
      const link = next.querySelector("a");
      if (!link) continue;
      event.preventDefault();
      event.target.tabIndex = -1;
      link.tabIndex = 0;
      link.focus();
      return;
    }
  }

  const heat = tally(ACCOUNT, accounts.length);
  const worstFirst = accounts.map((_, i) => i).sort((i, j) => {
    const a = heat.worst[i], b = heat.worst[j];
    return a.status - b.status || a.severity - b.severity || b.drift - a.drift || i - j;
  });

  function drawHeat(count) {
    const list = worstFirst.slice(0, count);
    map($("heat-map"), "Accounts and controls: the worst finding of each", list, heat.cells, {
      column: "Account",
      name: (i) => [accounts[i][1] || accounts[i][0] || "organization", make("small", {}, accounts[i][1] ? accounts[i][0] : "", " ", accounts[i][2])],
      words: (i) => accounts[i][1] || accounts[i][0] || "organization",
      query: (i) => ({ account: accounts[i][0] }),
    });
    $("heat-note").textContent = plural(accounts.length, "account has", "accounts have") + " something listed, of " +
      plural(data.audited, "account", "accounts") + " audited; the worst stand first" +
      (list.length < accounts.length ? ", and " + number(list.length) + " are drawn." : ".");
    $("heat-more").hidden = list.length >= accounts.length;
    return list.length;
  }

  // The address.
  function parse() {
    const hash = location.hash.slice(1);
    if (hash.startsWith("f-")) return show(hash.slice(2));
    if (!hash.includes("=")) return false;
    const given = new URLSearchParams(hash);
    asked = { ...blank };
    for (const k of Object.keys(blank)) asked[k] = given.get(k) || "";
    page = Math.max(0, (parseInt(given.get("page"), 10) || 1) - 1);
    apply(false);
    $("findings").scrollIntoView();
    $("findings-title").focus({ preventScroll: true });
    return true;
  }

  function remember() {
    const query = new URLSearchParams(Object.entries(asked).filter(([, v]) => v));
    if (page) query.set("page", page + 1);
    try { history.replaceState(null, "", "#" + query); } catch { /* a sandboxed frame may not */ }
  }

  function apply(keep) {
    filter();
    page = Math.min(page, Math.max(0, Math.ceil(shown.length / perPage) - 1));
    for (const k of Object.keys(blank)) if ($(k).value !== asked[k]) $(k).value = asked[k];
    draw();
    if (keep) remember();
  }

  // show opens one finding, whatever the filter.
  function show(id) {
    const i = rows.findIndex((r) => r[ID] === id);
    if (i < 0) {
      $("result").textContent = "This report has no finding f-" + id + ".";
      return true;
    }
    if (!shown.includes(i)) { asked = { ...blank }; apply(false); }
    page = Math.floor(shown.indexOf(i) / perPage);
    draw();
    const entry = $("list").children[shown.indexOf(i) % perPage], details = entry.querySelector("details");
    unfold(details, rows[i]);
    details.open = true;
    entry.scrollIntoView({ block: "center" });
    details.querySelector("summary").focus({ preventScroll: true });
    return true;
  }

  function options(select, list, any) {
    select.replaceChildren(make("option", { value: "" }, any), ...list.map(([value, text]) => make("option", { value }, text)));
  }
  const used = (column, list) => {
    const seen = new Set(rows.map((r) => r[column]));
    return list.filter((_, i) => seen.has(i));
  };
  options($("status"), used(STATUS, statuses), "any");
  options($("severity"), used(SEVERITY, severities).map((s) => [s, s]), "any");
  options($("control"), used(CONTROL, controls).map((c) => [c[0], c[0]]), "any");
  options($("region"), used(REGION, regions).map((r) => [r, r]), "any");
  const since = used(CHANGE, changes);
  options($("change"), since, "any");
  $("change-field").hidden = since.length === 0;
  options($("sort"), [["account", "account"], ["control", "control"], ["region", "Region"]], "worst first");
  $("accounts").append(...accounts.slice(0, 2000).map(([id, name]) => make("option", { value: id }, name)));

  for (const k of Object.keys(blank)) {
    $(k).addEventListener("input", () => { asked[k] = $(k).value; page = 0; apply(true); });
  }
  $("filter").addEventListener("submit", (e) => e.preventDefault());
  $("filter").addEventListener("reset", (e) => { e.preventDefault(); asked = { ...blank }; page = 0; apply(true); });
  const turn = (by) => () => { page += by; draw(); remember(); $("findings").scrollIntoView(); };
  $("previous").addEventListener("click", turn(-1));
  $("next").addEventListener("click", turn(1));
  addEventListener("hashchange", parse);

  // On paper nothing can be opened, so everything is, as far as it makes sense.
  addEventListener("beforeprint", () => {
    draw(printed);
    for (const d of $("list").querySelectorAll("details")) {
      unfold(d, rows[shown[[...$("list").children].indexOf(d.parentElement)]]);
      d.open = true;
    }
  });
  addEventListener("afterprint", () => draw());

  if (rows.length > 0) {
    let drawn = drawHeat(mapRows);
    $("heat-more").addEventListener("click", () => { drawn = drawHeat(drawn + 4 * mapRows); });
    const byRegion = tally(REGION, regions.length);
    map($("region-map"), "Regions and controls: the worst finding of each", regions.map((_, i) => i), byRegion.cells, {
      column: "Region", name: (i) => [regions[i]], words: (i) => regions[i], query: (i) => ({ region: regions[i] }),
    });
    for (const id of ["heat-map", "region-map"]) $(id).addEventListener("keydown", arrows);
    for (const id of ["heat", "regions", "filter"]) $(id).hidden = false;
  }
  filter();
  draw();
  parse();
})();
