// Scans go to the server one after the other while the next ones are read: the page is the same as without this file,
// but the field is free at once. What could not be sent waits, and is sent again.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("document");
  if (!form) return;
  const scan = form.elements.scan;
  const quantity = form.elements.quantity;
  const waiting = [];
  let sending = false;
  let booking = null;

  const say = (text, bad) => {
    const said = document.getElementById("said");
    said.textContent = text;
    said.className = bad ? "bad" : "good";
  };
  const send = async (entry) => {
    const body = new FormData(form);
    for (const [name, value] of Object.entries(entry)) body.set(name, value);
    const answer = await fetch(form.action, { method: "POST", body });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const taken = page.getElementById("taken");
    if (!answer.ok || !taken) throw new Error(`the server answered ${answer.status}`);
    document.getElementById("taken").replaceWith(document.importNode(taken, true));
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
        waiting.shift();
      } catch (error) {
        beep();
        say(`${waiting.length} scans could not be sent yet (${error.message}). They are sent again.`, true);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
    sending = false;
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
    scan.focus();
    work();
  });
  document.addEventListener("keydown", (event) => {
    const elsewhere = !event.target.closest("input, textarea, select");
    const letter = event.key.length === 1 && !" /".includes(event.key);
    if (elsewhere && letter && !event.ctrlKey && !event.altKey && !event.metaKey) scan.focus(); // no scan is lost
  });
  form.addEventListener("change", (event) => {
    if (event.target.closest(".head select")) {
      waiting.push({ scan: "", quantity: "", do: "look" });
      work();
      scan.focus();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (waiting.length) event.preventDefault();
  });
});
