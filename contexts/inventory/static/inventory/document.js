// Scans go to the server one after the other while the next ones are read: the page is the same as without this file,
// but the field is free at once. What could not be sent waits, and is sent again. The lines are kept in the browser's
// tab until they are booked, with what waits and the form's key: whoever leaves the page and comes back goes on, and
// books once.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("document");
  if (!form) return;
  const scan = form.elements.scan;
  const quantity = form.elements.quantity;
  const waiting = [];
  let sending = false;
  let booking = null;
  let told = "";

  const say = (text, bad) => {
    const said = document.getElementById("said");
    said.textContent = text;
    said.className = bad ? "bad" : "good";
  };
  const kept = `document ${location.pathname} ${form.dataset.person}`;
  const HEAD = ["what", "warehouse", "to_warehouse", "reference", "reason"];
  const lines = () => form.querySelectorAll("#taken input[name=line], #taken input[name=unknown]").length;
  const entered = () => lines() || waiting.some((entry) => entry.scan);
  const CARRIED = "#taken input:is([name=line], [name=entry], [name=unknown], [name=of], [name=_form_key])";
  const keep = () => {
    try {
      const taken = [...form.querySelectorAll(CARRIED)].map((one) => [one.name, one.value]);
      const head = HEAD.map((name) => [name, form.elements[name].value]);
      if (entered()) sessionStorage.setItem(kept, JSON.stringify({ taken, head, waiting }));
      else sessionStorage.removeItem(kept);
      return true;
    } catch {
      return false; // a browser that keeps nothing asks before the page is left
    }
  };
  const restore = () => {
    let found = null;
    try {
      found = JSON.parse(sessionStorage.getItem(kept));
    } catch { /* nothing is kept */ }
    const key = found?.taken.find(([name]) => name === "_form_key")[1];
    if (!found || lines() || new URLSearchParams(location.search).get("booked") === key) return keep();
    for (const [name, value] of found.head) form.elements[name].value = value;
    for (const one of form.querySelectorAll(CARRIED)) one.remove();
    for (const [name, value] of found.taken) {
      const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
      document.getElementById("taken").append(input);
    }
    const warehouse = form.elements.warehouse.value;
    const asked = new URLSearchParams(location.search).get("warehouse");
    told = `These lines are from before you left this page, for ${warehouse}. They are not booked yet.`;
    if (asked && asked !== warehouse) {
      told += ` Book or remove them before you go on in ${asked}.`;
      scan.value = ""; // it was meant for there
    }
    waiting.push({ scan: "", quantity: "", do: "look" }, ...found.waiting);
    work();
  };
  const sign = async () => {
    const page = new DOMParser().parseFromString(await (await fetch(location.pathname)).text(), "text/html");
    const token = page.querySelector("#document input[name=csrfmiddlewaretoken]"); // of another sign-in since
    if (token) form.elements.csrfmiddlewaretoken.value = token.value;
  };
  const send = async (entry) => {
    const body = new FormData(form);
    for (const [name, value] of Object.entries(entry)) body.set(name, value);
    const answer = await fetch(form.action, { method: "POST", body });
    if (answer.status === 403) {
      await sign();
      throw new Error("you are not signed in: sign in in another tab");
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const taken = page.getElementById("taken");
    if (!answer.ok || !taken) throw new Error(`the server answered ${answer.status}`);
    document.getElementById("taken").replaceWith(document.importNode(taken, true));
    waiting.shift();
    keep();
    if (told && !document.querySelector("#said.bad")) say(told, false);
    if (document.querySelector("#said.bad")) {
      beep();
      const refused = page.getElementById("scan").value;
      if (refused && !scan.value) {
        scan.value = refused;
        scan.select(); // the next scan replaces it
      }
    }
  };
  const work = async () => {
    if (sending) return;
    sending = true;
    while (waiting.length) {
      try {
        await send(waiting[0]);
      } catch (error) {
        beep();
        say(`${waiting.length} scans could not be sent yet (${error.message}). They are sent again.`, true);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
    sending = false;
    told = "";
    if (booking) {
      const button = form.querySelector(`button[name=do][value="${booking}"]`);
      booking = null;
      if (button) button.click();
    }
  };
  form.addEventListener("submit", (event) => {
    const command = event.submitter ? event.submitter.value : "add";
    if (command === "book") {
      if (waiting.length) {
        event.preventDefault();
        booking = command; // after what was scanned before
      }
      return;
    }
    event.preventDefault();
    if (command === "add" && !scan.value.trim()) {
      scan.focus(); // a quantity that is typed before its scan
      return;
    }
    const entry = command === "add" ? { scan: scan.value, quantity: quantity.value } : { scan: "", quantity: "" };
    waiting.push({ ...entry, do: command });
    if (command === "add") scan.value = quantity.value = "";
    keep();
    scan.focus();
    work();
  });
  document.addEventListener("keydown", (event) => {
    const elsewhere = !event.target.closest("input, textarea, select");
    const letter = event.key.length === 1 && !" /".includes(event.key);
    if (elsewhere && letter && !event.ctrlKey && !event.altKey && !event.metaKey) scan.focus(); // no scan is lost
  });
  form.addEventListener("change", (event) => {
    keep();
    if (event.target.closest(".head select")) {
      waiting.push({ scan: "", quantity: "", do: "look" });
      work();
      scan.focus();
    }
  });
  let leaving = false;
  form.addEventListener("submit", (event) => (leaving = !event.defaultPrevented));
  addEventListener("beforeunload", (event) => {
    if (!leaving && entered() && !keep()) event.preventDefault();
  });
  restore();
});
