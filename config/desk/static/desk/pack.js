// The packing desk's keys, and its scanner. All that it does can be done without it, by mouse.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll("tr.parcel")];
  const items = [...document.querySelectorAll("#items tr[data-units]")];
  const scan = document.getElementById("scan");
  const button = (command) => document.querySelector(`button[name=do][value=${command}]`);
  const current = () => rows.find((row) => row.contains(document.activeElement));

  const move = (step) => {
    const at = rows.indexOf(current());
    const to = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    to.querySelector("a.open").focus();
  };
  const only = (row) => {
    for (const box of document.querySelectorAll("#queue tbody input[name=shipment]")) box.checked = row.contains(box);
  };
  const press = (command) => {
    const row = current();
    if (rows.length && !row && !document.querySelector("#queue tbody input:checked")) return;
    if (row && !document.querySelector("#queue tbody input:checked")) only(row);
    button(command)?.click();
  };
  const keys = {
    j: () => rows.length && move(1),
    k: () => rows.length && move(-1),
    x: () => current()?.querySelector("input").click(),
    p: () => press("pack"),
    d: () => press("dispatch"),
  };
  // A scanner types many letters at once, and some of them are P and D: letters are commands only where all of them
  // are, and no product of the parcel is called so. J, K and X come as quickly as one likes; P and D come last.
  let typed = "";
  let timer = 0;
  const areCommands = (text) => /^[jkx]*[pd]?$/i.test(text) && !named(text);
  const typedOut = (ended) => {
    const text = typed;
    typed = "";
    clearTimeout(timer);
    if (areCommands(text)) {
      for (const letter of text) keys[letter.toLowerCase()]();
      if (ended && /[jkx]$/i.test(text)) document.activeElement.click(); // Enter, which opens
    } else if (scan && ended) {
      take(text);
      scan.focus();
    } else if (scan) {
      scan.value = text;
      scan.focus();
    }
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.activeElement.blur();
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    const letter = event.key.length === 1 && (typed || !" /".includes(event.key));
    if (!letter && !(event.key === "Enter" && typed)) return;
    event.preventDefault();
    if (!letter) return typedOut(true);
    if (event.repeat) return /[jk]/i.test(event.key) && keys[event.key.toLowerCase()](); // held: no scanner does that
    typed += event.key;
    clearTimeout(timer);
    timer = setTimeout(typedOut, 150, false);
  });
  document.getElementById("mark-all")?.addEventListener("change", (event) => {
    for (const box of document.querySelectorAll("#queue tbody input[name=shipment]")) box.checked = event.target.checked;
  });

  const say = (text, bad) => {
    const said = document.getElementById("scanned");
    said.textContent = text;
    said.className = bad ? "bad" : "";
    if (bad) beep();
  };
  // As the stock screen has it: in any case, if nothing is called just so, and x as *.
  const folded = (code) => code.normalize("NFC").toLowerCase();
  const named = (code) =>
    items.find((row) => code && [row.dataset.sku, row.dataset.barcode].includes(code)) ||
    items.find((row) => code && folded(row.dataset.sku) === folded(code));
  // What was scanned stays as long as the browser's tab, for the page is loaded anew when it is packed.
  const kept = `scanned ${location.pathname}`;
  const remember = () => {
    try {
      sessionStorage.setItem(kept, JSON.stringify(items.map((row) => [row.dataset.sku, row.querySelector(".got").textContent])));
    } catch { /* a browser that keeps nothing */ }
  };
  const show = (row, units) => {
    row.querySelector(".got").textContent = units;
    row.classList.toggle("done", units === Number(row.dataset.units));
  };
  try {
    for (const [sku, units] of JSON.parse(sessionStorage.getItem(kept) || "[]")) {
      const row = items.find((one) => one.dataset.sku === sku);
      if (row) show(row, Math.min(Number(units), Number(row.dataset.units)));
    }
  } catch { /* the same */ }
  const take = (text) => {
    const times = text.match(/^([0-9]{1,6})\s*[*×x]\s*(.+)$/i);
    const row = named(text) || (times && named(times[2]));
    if (!row) return say(`${text} does not belong into this parcel.`, true);
    const got = row.querySelector(".got");
    const units = Number(got.textContent) + (named(text) ? 1 : Number(times[1]));
    if (units > Number(row.dataset.units)) return say(`Too many of ${row.dataset.sku}: ${row.dataset.units} go into it.`, true);
    show(row, units);
    remember();
    if (items.every((one) => one.classList.contains("done"))) {
      say("All of it is there.", false);
      (button("pack") || button("dispatch"))?.focus();
    } else {
      say(`${row.dataset.sku}: ${units} of ${row.dataset.units}`, false);
    }
  };
  scan?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !scan.value.trim()) return;
    event.preventDefault();
    take(scan.value.trim());
    scan.value = "";
  });

  // What comes next: the carrier's number in place of ours, or the command.
  const number = document.getElementById("id_tracking_no");
  if (number && !button("pack")) {
    if (number.value.startsWith("ECI")) number.select();
    else button("dispatch").focus();
  }
});
