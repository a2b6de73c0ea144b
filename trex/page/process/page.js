"use strict";
(() => {
  const time = document.getElementById("time");
  const message = document.getElementById("message");
  const over = document.getElementById("over");
  const said = document.getElementById("said");
  const until = time.textContent;
  const end = Date.now() + 1000 * Number(time.dataset.seconds);
  let warned = false;

  function tick() {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const seconds = String(left % 60).padStart(2, "0");
    time.textContent = `${until} (${Math.floor(left / 60)}:${seconds} left)`;
    if (left <= 60 && !warned) {
      warned = true;
      said.textContent = "Less than a minute is left.";
    }
    if (left === 0) {
      document.documentElement.classList.add("late");
      over.textContent = over.dataset.said; // a change, so that screen readers announce it
      message.textContent = "";
      clearInterval(timer);
    }
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(message.textContent);
    } catch {
      // Only https and localhost have a clipboard; elsewhere use the old way.
      getSelection().selectAllChildren(message);
      if (!document.execCommand("copy")) {
        said.textContent = "The text is selected: copy it yourself.";
        return;
      }
    }
    said.textContent = "Copied.";
  }

  const timer = setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  const button = document.createElement("button");
  button.id = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", copy);
  document.getElementById("head").append(button);
  tick();
})();
