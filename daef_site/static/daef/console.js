// Asks for a page's figures again. Pages are whole without it; it changes no state.
"use strict";

(() => {
  const WAITS = [5, 10, 20, 30]; // seconds after errors
  const jitter = () => 0.8 + 0.4 * Math.random();

  function busy(section) {
    const focused = document.activeElement;
    const field = focused && section.contains(focused) && focused.matches("input, select, textarea");
    return field || !window.getSelection().isCollapsed;
  }

  function address(section) {
    const url = new URL(section.dataset.poll || location.href, location.href);
    url.searchParams.set("fragment", "1");
    return url;
  }

  function follow(section) {
    const every = Number(section.dataset.every);
    const live = document.getElementById("live");
    let errors = 0;

    const say = (text, stale) => {
      if (!live) return;
      live.textContent = text;
      live.classList.toggle("stale", stale);
    };

    async function once() {
      const answer = await fetch(address(section), { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const open = [...section.querySelectorAll("details[open][id]")].map((part) => part.id);
      const focused = section.contains(document.activeElement) && document.activeElement.getAttribute("href");
      section.innerHTML = await answer.text();
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      if (focused) section.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    }

    async function turn() {
      let wait = every;
      if (!document.hidden && !busy(section)) {
        try {
          await once();
          errors = 0;
          say("Live", false);
        } catch {
          wait = WAITS[Math.min(errors++, WAITS.length - 1)];
          say(`No answer, tried again in ${wait} s; the figures are older`, true);
        }
      }
      // A job that has ended says so by asking for no more.
      const next = section.querySelector("[data-stop]") ? 0 : wait;
      if (next) setTimeout(turn, next * 1000 * jitter());
      else say("", false);
    }
    setTimeout(turn, every * 1000 * jitter());
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("section[data-every]").forEach(follow);
    document.querySelectorAll("button[data-copy]").forEach((button) => {
      if (!navigator.clipboard) return;
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        document.getElementById("copied").textContent = "copied";
        button.lastChild.textContent = "Copied";
      });
    });
    // Filters apply when they are chosen; without this script their button does it.
    document.querySelectorAll("form[data-auto]").forEach((form) => {
      form.addEventListener("change", () => form.requestSubmit());
    });
  });
})();
