(() => {
  // Shows at once, and following the pointer, what browsers show after a while by themselves.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const title of document.querySelectorAll(".chart title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  const cell = (hit, x) => {
    const { columns, words } = hit.closest("svg").dataset, box = hit.getBoundingClientRect(), cells = hit.dataset.cells;
    const at = Math.min(cells.length - 1, Math.max(0, Math.floor((x - box.left) / box.width * cells.length)));
    return "\n" + columns.split("|")[at] + ": " + words.split("|")[cells[at]];
  };
  document.addEventListener("pointermove", (event) => {
    const group = event.target.closest("[data-tip]");
    tip.hidden = !group;
    if (!group) return;
    const hit = group.querySelector("[data-cells]");
    tip.textContent = group.dataset.tip + (hit ? cell(hit, event.clientX) : "");
    const right = event.clientX + 16 + tip.offsetWidth > innerWidth, low = event.clientY + 16 + tip.offsetHeight > innerHeight;
    tip.style.left = Math.max(4, right ? event.clientX - 12 - tip.offsetWidth : event.clientX + 16) + "px";
    tip.style.top = (low ? event.clientY - 12 - tip.offsetHeight : event.clientY + 16) + "px";
  });
  document.addEventListener("pointerleave", () => { tip.hidden = true; });
})();
