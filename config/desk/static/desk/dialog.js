// Esc leaves a dialog, as its link does.
"use strict";
document.addEventListener("keydown", (event) => {
  const leave = document.querySelector("[data-leave]");
  if (leave && event.key === "Escape" && !event.defaultPrevented) {
    leave.click();
  }
});
