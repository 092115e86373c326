// "/" and Ctrl K go to the box that finds things, from every page; "/" from an empty search of a list, too.
"use strict";
document.addEventListener("keydown", (event) => {
  const box = document.getElementById("go-q");
  const field = event.target.closest("input, textarea, select, [contenteditable]");
  const typing = field && !(field.id === "searchbar" && !field.value);
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.altKey && !event.metaKey;
  const ctrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
  if (box && (slash || ctrlK)) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});
