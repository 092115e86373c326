// Django's box to choose several names its icons by ARIA, which plain spans may not have: they are pictures.
"use strict";
addEventListener("load", () => {
  for (const icon of document.querySelectorAll(".selector span[aria-label]:not([role])")) icon.setAttribute("role", "img");
});
