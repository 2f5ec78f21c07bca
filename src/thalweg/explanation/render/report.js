(function (root) {
  "use strict";
  const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const words = data.words, matrices = data.matrices;
  const rows = Array.from(root.querySelectorAll("tr.step"));
  const current = root.querySelector(".current");
  const position = root.querySelector(".position");
  let here = -1;

  // -- numbers -----------------------------------------------------------------------------------
  const show = (v, places) => {
    if (typeof v === "string") return v;
    if (v === 0) return "0";
    const size = Math.abs(v);
    const text = size >= 1e7 || size < 1e-5
      ? v.toExponential((places || 7) - 1).replace(/\.?0+e/, "e")
      : String(Number(v.toPrecision(places || 7)));
    return text.replace(/-/g, "−");
  };
  const below = (n) => String(n).replace(/[0-9]/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]);
  const whole = (name) => (name.includes(" ") ? "(" + name + ")" : name);
  const entry = (name, row, column) => whole(name) + below(row) + "," + below(column);
  const make = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };

  // -- what an entry of a matrix is made of ---------------------------------------------------------
  function pick(name, row, column, transposed) {
    const matrix = matrices[name];
    const [r, c] = transposed ? [column, row] : [row, column];
    return [entry(name, r, c), matrix[r - 1][c - 1]];
  }
  function termsOf(recipe, row, column) {
    const left = matrices[recipe.left];
    if (!left || (recipe.right && !matrices[recipe.right])) return null;
    const share = (s) => recipe.weights ? [pick(recipe.weights, 1, s, false)]
      : recipe.divisor && recipe.divisor !== 1 ? [["1/m", 1 / recipe.divisor]] : [];
    const terms = [];
    if (recipe.kind === "rowsum") {
      for (let s = 1; s <= left[0].length; s++) terms.push([pick(recipe.left, row, s), ...share(s)]);
    } else if (recipe.kind === "hadamard") {
      terms.push([pick(recipe.left, row, column), pick(recipe.right, row, column)]);
    } else if (recipe.kind === "subtract") {
      const taken = pick(recipe.right, row, column);
      terms.push([pick(recipe.left, row, column)], [["−" + taken[0], -taken[1]]]);
    } else {
      const inner = recipe.left_transposed ? left.length : left[0].length;
      for (let k = 1; k <= inner; k++) {
        terms.push([
          pick(recipe.left, row, k, recipe.left_transposed),
          pick(recipe.right, k, column, recipe.right_transposed),
          ...share(k),
        ]);
      }
      if (recipe.plus && matrices[recipe.plus]) {
        terms.push([pick(recipe.plus, row, Math.min(column, matrices[recipe.plus][0].length))]);
      }
    }
    return terms;
  }

  // -- openings -------------------------------------------------------------------------------------
  function factor([name, value]) {
    const part = make("span");
    const target = rows.findIndex((row) => row.dataset.name === name.replace(/^−/, ""));
    const label = make(target >= 0 ? "a" : "span", name);
    if (target >= 0) {
      label.setAttribute("role", "button");
      label.tabIndex = 0;
      label.addEventListener("click", () => go(target));
      label.addEventListener("keydown", (event) => { if (event.key === "Enter") go(target); });
    }
    const number = show(value);
    part.append(label, " ", make("b", value < 0 ? "(" + number + ")" : number));
    return part;
  }
  function opening(title, terms, value) {
    const box = make("div", undefined, "opening");
    box.append(make("strong", title));
    box.tabIndex = 0;
    if (!terms) {
      box.append(make("div", words.too_large));
      return box;
    }
    const list = make("ol");
    let total = 0;
    for (const term of terms) {
      const line = make("li");
      let product = 1;
      term.forEach((f, k) => { if (k) line.append(" × "); line.append(factor(f)); product *= f[1]; });
      if (term.length > 1) line.append(" = ", make("b", show(product)));
      total += product;
      list.append(line);
    }
    box.append(list, make("div", words.sum_of + " = " + show(terms.length ? total : value)));
    return box;
  }
  function toggle(button, host, make_box) {
    const open = button.getAttribute("aria-expanded") === "true";
    const old = host.querySelector(":scope > .opening");
    if (old) old.remove();
    host.querySelectorAll('[aria-expanded="true"]').forEach((b) => b.setAttribute("aria-expanded", "false"));
    if (!open) {
      button.setAttribute("aria-expanded", "true");
      host.append(make_box());
    }
  }
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !root.contains(button)) return;
    if (button.dataset.do) return act(button.dataset.do);
    const row = button.closest("tr.step");
    if (!row) return;
    go(rows.indexOf(row), true);
    const host = row.querySelector("td.how");
    if (button.classList.contains("num")) {
      const value = Number(button.dataset.value);
      const title = row.dataset.name + " = " + show(value, 15);
      toggle(button, host, () => {
        if (button.dataset.terms) return opening(title, JSON.parse(button.dataset.terms), value);
        if (button.dataset.recipe) return opening(title, termsOf(JSON.parse(button.dataset.recipe), 1, 1), value);
        const box = make("div", undefined, "opening");
        box.append(make("strong", title), make("div", words.given));
        return box;
      });
      return;
    }
    const matrix = button.closest(".matrix");
    if (!matrix) return;
    const line = button.closest("tr");
    const place = [Number(line.firstChild.textContent), 0];
    const cell = button.closest("td");
    place[1] = Number(matrix.querySelector("thead tr").children[cell.cellIndex].textContent);
    const recipe = JSON.parse(matrix.dataset.recipe);
    toggle(button, host, () =>
      opening(entry(row.dataset.name, place[0], place[1]), termsOf(recipe, place[0], place[1]), NaN));
  });

  // -- step by step -----------------------------------------------------------------------------------
  function go(to, quiet) {
    if (!rows.length) return;
    if (here >= 0) rows[here].classList.remove("here");
    here = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[here];
    row.classList.add("here");
    position.textContent = words.position.replace("{k}", here + 1).replace("{n}", rows.length);
    root.querySelectorAll(".on").forEach((e) => e.classList.remove("on"));
    for (const id of (row.dataset.at || "").split(" ")) {
      if (!id) continue;
      const at = root.querySelector('[data-id="' + CSS.escape(id) + '"]');
      if (at) at.classList.add("on");
    }
    card(row);
    if (!quiet) row.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  }
  const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  function card(row) {
    current.replaceChildren();
    current.append(make("div", row.closest(".part").querySelector("h2").textContent, "role"));
    current.append(make("div", row.dataset.role, "role"));
    const how = row.querySelector("td.how");
    const formula = make("div", undefined, "big");
    for (const child of how.children) {
      if (["formula", "numbers"].includes(child.className)) formula.append(child.cloneNode(true));
    }
    current.append(formula);
    const number = row.querySelector(".val .num");
    if (number) current.append(make("div", "= " + number.textContent, "result"));
  }
  function act(what) {
    if (what === "previous") go(here - 1);
    if (what === "next") go(here + 1);
    if (what === "print") window.print();
    if (what === "theme") {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : window.matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    }
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.target !== document.body && !root.contains(event.target)) return;
    if (event.target.closest && event.target.closest(".matrix, figure, .formula, .numbers") === event.target) return;
    if (event.key === "ArrowRight") { go(here + 1); event.preventDefault(); }
    if (event.key === "ArrowLeft") { go(here - 1); event.preventDefault(); }
  });
  // -- long formulas scroll, and the keyboard must reach what scrolls ---------------------------------
  function reach() {
    for (const line of root.querySelectorAll(".how > .formula, .how > .numbers")) {
      if (line.scrollWidth > line.clientWidth) line.tabIndex = 0;
      else line.removeAttribute("tabindex");
    }
  }
  reach();
  window.addEventListener("resize", reach);
  position.textContent = words.position.replace("{k}", "–").replace("{n}", rows.length);
})(document.currentScript.previousElementSibling);
