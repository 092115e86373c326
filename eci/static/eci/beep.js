// A tone for what was refused: who scans looks at the goods, not at the screen.
"use strict";
const beep = () => {
  try {
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.2);
    tone.onended = () => audio.close();
  } catch { /* a browser without sound still shows it in red */ }
};
