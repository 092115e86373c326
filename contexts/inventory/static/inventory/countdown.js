// How long each hold of the page still has, by the second.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const times = [...document.querySelectorAll("time.countdown")];
  const skew = (time) => Date.parse(time.dataset.now) - Date.now(); // the server's clock decides
  const skews = new Map(times.map((time) => [time, skew(time)]));
  const show = () => {
    for (const time of times) {
      const left = Math.ceil((Date.parse(time.dateTime) - Date.now() - skews.get(time)) / 1000);
      const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
      const clock = parts.map((part) => String(part).padStart(2, "0")).join(":");
      time.textContent = left > 0 ? `${clock} left` : "run out";
    }
  };
  if (times.length) {
    show();
    setInterval(show, 1000);
  }
});
