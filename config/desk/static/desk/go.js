// "/" and Ctrl K go to the box that finds things, from every page.
"use strict";
document.addEventListener("keydown", (event) => {
  const box = document.getElementById("go-q");
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.altKey && !event.metaKey;
  const ctrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
  if (box && (slash || ctrlK)) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});
