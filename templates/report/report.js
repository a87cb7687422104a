"use strict";
// Adds to a page that is complete without it: values under the pointer, scales, sorting, finding, copying, the theme.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const { frame, panels } = JSON.parse(one("#chart-data").textContent);

  // Theme: the system's, until the reader chooses.
  const theme = one("#theme");
  const themes = ["system", "light", "dark"];
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(document.documentElement.dataset.theme || "system") + 1) % themes.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    theme.textContent = `theme: ${next}`;
  });

  // Copying.
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await copy(document.getElementById(button.dataset.copy).textContent);
        button.textContent = "copied";
      } catch {
        button.textContent = "not allowed";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  // The spec: finding and sorting.
  const table = one("#spec-table");
  const filter = one("#spec-filter");
  const found = one("#spec-found");
  const rows = all("tbody tr", table);
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    found.textContent = words.length ? `${shown} of ${rows.length} values` : "";
  });
  all("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...rows].sort((a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent, "en", { numeric: true }));
      one("tbody", table).append(...(down ? sorted.reverse() : sorted));
    });
  });

  // Scales: every drawing is there already.
  for (const button of all("button.scale")) {
    const drawings = all(".drawing", one(`.plot[data-panel="${button.dataset.panel}"]`));
    button.hidden = false;
    button.addEventListener("click", () => {
      const log = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(log));
      for (const drawing of drawings) drawing.hidden = (drawing.dataset.scale === "log") !== log;
    });
  }

  // Values under the pointer, or by the arrow keys.
  const write = (value, style) => {
    if (style === "percent") return `${new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(value * 100)} %`;
    if (style === "rate" || (value !== 0 && Math.abs(value) < 0.001)) return value === 0 ? "0" : Number(value.toPrecision(3)).toExponential();
    const digits = style === "number" && Math.abs(value) < 10_000 ? { minimumSignificantDigits: 4, maximumSignificantDigits: 4 } : { maximumSignificantDigits: 5 };
    return new Intl.NumberFormat("en", digits).format(value);
  };
  const nearest = (points, step) => {
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] <= step) low = middle; else high = middle;
    }
    return Math.abs(points[low][0] - step) <= Math.abs(points[high][0] - step) ? points[low] : points[high];
  };
  const svgElement = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  for (const plot of all(".plot")) {
    const panel = panels[plot.dataset.panel];
    const curves = panel.curves.filter((curve) => curve.points.length);
    const steps = [...new Set(curves.flatMap((curve) => curve.points.map((point) => point[0])))].sort((a, b) => a - b);
    if (!steps.length) continue;
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    tip.setAttribute("role", "status");
    plot.append(tip);
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", "Chart; the arrow keys read values along it");
    let cross = null;
    let position = steps.length - 1;

    const drawing = () => all(".drawing", plot).find((each) => !each.hidden);
    const across = (step) => frame.left + frame.width * (step - panel.steps[0]) / (panel.steps[1] - panel.steps[0]);
    const down = (value, axis) => {
      const scale = axis.log ? Math.log : (x) => x;
      return frame.top + frame.height * (1 - (scale(value) - scale(axis.low)) / (scale(axis.high) - scale(axis.low)));
    };
    const clear = () => {
      if (cross) cross.remove();
      cross = null;
      tip.hidden = true;
    };
    const show = (step) => {
      clear();
      const shown = drawing();
      const axis = panel.axes[Number(shown.dataset.axis)];
      const svg = one("svg", shown);
      cross = svgElement("g", { "pointer-events": "none" });
      cross.append(svgElement("line", {
        x1: across(step), x2: across(step), y1: frame.top, y2: frame.top + frame.height, class: "stroke-soft", "stroke-width": 1,
      }));
      tip.replaceChildren();
      const head = document.createElement("div");
      const place = new Intl.NumberFormat("en").format(step);
      head.textContent = panel.across === "step" ? `step ${place}` : `${place} ${panel.across}`;
      tip.append(head);
      for (const curve of curves) {
        const [at, value] = nearest(curve.points, step);
        if (!axis.log || value > 0) {
          cross.append(svgElement("circle", {
            cx: across(at), cy: down(value, axis), r: 3.5, class: `fill-${curve.role} stroke-paper`, "stroke-width": 1.5,
          }));
        }
        const line = document.createElement("div");
        const swatch = document.createElement("span");
        swatch.className = `swatch swatch-${curve.role}`;
        const figure = document.createElement("b");
        figure.textContent = write(value, axis.style);
        line.append(swatch, `${curve.label} `, figure, at === step ? "" : ` at ${new Intl.NumberFormat("en").format(at)}`);
        tip.append(line);
      }
      svg.append(cross);
      tip.hidden = false;
      const box = svg.getBoundingClientRect();
      const left = across(step) * box.width / svg.viewBox.baseVal.width;
      const right = left + 12 + tip.offsetWidth <= plot.clientWidth;
      tip.style.left = `${Math.max(0, right ? left + 12 : left - 12 - tip.offsetWidth)}px`;
      tip.style.top = `${(frame.top - svg.viewBox.baseVal.y) * box.height / svg.viewBox.baseVal.height + 4}px`;
    };
    plot.addEventListener("pointermove", (event) => {
      const svg = one("svg", drawing());
      const box = svg.getBoundingClientRect();
      const inside = ((event.clientX - box.left) * svg.viewBox.baseVal.width / box.width - frame.left) / frame.width;
      const wanted = panel.steps[0] + Math.min(1, Math.max(0, inside)) * (panel.steps[1] - panel.steps[0]);
      const [step] = nearest(steps.map((each) => [each]), wanted);
      position = steps.indexOf(step);
      show(step);
    });
    plot.addEventListener("pointerleave", clear);
    plot.addEventListener("blur", clear);
    plot.addEventListener("keydown", (event) => {
      const stride = Math.max(1, Math.round(steps.length / 50));
      const moves = { ArrowLeft: -stride, ArrowRight: stride, Home: -steps.length, End: steps.length };
      if (event.key === "Escape") clear();
      if (!(event.key in moves)) return;
      event.preventDefault();
      position = Math.min(steps.length - 1, Math.max(0, position + moves[event.key]));
      show(steps[position]);
    });
  }
})();
