// The report's charts, filter and what-if sliders. Money is BigInt on one scale, as the library has it in Decimal:
// floats place the marks of a chart, and no more.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const specs = byId("charts") && typeof vegaEmbed === "function" ? JSON.parse(byId("charts").textContent) : null;

  // Prices are whole numbers on one scale; the sliders multiply them by four times hundredths.
  const scale = BigInt(data.scale);
  const whatIfScale = scale * 100n ** 4n;
  const prices = data.prices.map((some) => some.map(BigInt));
  const series = data.series.map(([deployment, model, kind, user, app, timed, which], i) => {
    const [now, batch, plain, cached, plainBatch, cachedBatch] = prices[which];
    const days = data.rows[i].filter((_, place) => place % 2 === 0);
    const quantities = data.rows[i].filter((_, place) => place % 2 === 1).map(BigInt);
    const quantity = quantities.reduce((sum, one) => sum + one, 0n);
    return { deployment, model, kind, user, app, timed, now, batch, plain, cached, plainBatch, cachedBatch,
      days, quantities, quantity };
  });

  const chosen = new Set(data.deployments.keys());
  let monthly = document.querySelector("[name=every]:checked").value === "month";
  let imagined = null;

  // ---- money ----

  function money(numerator, denominator) {
    const sign = numerator < 0n ? "-" : "";
    const size = numerator < 0n ? -numerator : numerator;
    if (size !== 0n && size * 100n < denominator) return sign + small(size, denominator);
    const cents = halfEven(size * 100n, denominator);
    const whole = (cents / 100n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
    return `${sign}${whole}.${(cents % 100n).toString().padStart(2, "0")}`;
  }

  function halfEven(numerator, denominator) {
    const quotient = numerator / denominator;
    const twice = (numerator % denominator) * 2n;
    const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
    return up ? quotient + 1n : quotient;
  }

  // Below one cent four digits are shown that count, and below a thousandth of one three and the power of ten.
  function small(numerator, denominator) {
    let scaled = numerator;
    let power = 0;
    for (; scaled < denominator; power += 1) scaled *= 10n;
    const isPlain = numerator * 100_000n >= denominator;
    const digits = isPlain ? 4 : 3;
    let rounded = halfEven(scaled * 10n ** BigInt(digits - 1), denominator).toString();
    if (rounded.length > digits) {
      rounded = rounded.slice(0, digits);
      power -= 1;
    }
    if (isPlain) return `0.${"0".repeat(power - 1)}${rounded}`.replace(/0+$/, "");
    return `${rounded[0]}.${rounded.slice(1)}E-${power}`;
  }

  // Near enough to draw; BigInt divides first, so that no part is too large for a float.
  function approximately(numerator, denominator) {
    return Number((numerator * 10n ** 12n) / denominator) / 1e12;
  }

  const whole = (count) => count.toLocaleString("en-US");

  // ---- sums ----

  const selected = () => series.filter((one) => chosen.has(one.deployment));

  /** Add quantity times price by some key, in the order of the largest first. */
  function sums(keyOf, priceOf = (one) => one.now) {
    const found = new Map();
    for (const one of selected()) {
      const key = keyOf(one);
      found.set(key, (found.get(key) ?? 0n) + one.quantity * priceOf(one));
    }
    return [...found].sort((a, b) => (a[1] < b[1] ? 1 : a[1] > b[1] ? -1 : a[0] - b[0]));
  }

  const total = (priceOf) => sums(() => 0, priceOf)[0]?.[1] ?? 0n;

  /** What a unit of a series costs under the sliders, on the scale of whatIfScale. */
  function imaginedPrice(one) {
    const { volume, batch, cached, discount } = imagined;
    if (one.timed) return one.now * 100n ** 3n * (100n - discount);
    const mixed = (asLogged, plain, hit) =>
      cached === null ? 100n * asLogged : (100n - cached) * plain + cached * hit;
    const standard = mixed(one.now, one.plain, one.cached);
    const inBatch = mixed(one.batch, one.plainBatch, one.cachedBatch);
    return (100n - discount) * volume * ((100n - batch) * standard + batch * inBatch);
  }

  // ---- charts ----

  const names = { deployment: data.deployments.map(([name]) => name), ...data.names };
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const charts = new Map(figures.map((figure) => [figure.dataset.chart, figure]));
  const pictures = new Map();
  const dayMs = 24 * 3600 * 1000;
  const mostGapDays = 4000;
  const stepPx = { bars: 24, paired: 17 };
  const most = { bars: 12, stacked: 6 };

  const tip = byId("tip");
  function showTip(_, event, __, text) {
    tip.hidden = text === null || text === undefined || text === "";
    if (tip.hidden) return;
    tip.textContent = text;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
  }

  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  /** Split what is sorted into what gets a place of its own and the rest, which shares one. */
  function split(sorted, many, facet) {
    const small = sorted.filter(([key]) => key === data.rest[facet]);
    const single = sorted.filter(([key]) => key !== data.rest[facet]);
    const fits = single.length + small.length <= many + 1;
    return fits ? [single, small] : [single.slice(0, many), single.slice(many).concat(small)];
  }

  const others = "all others";
  const add = (sum, one) => sum + one;

  /** Return the rows of a bar chart: the largest by name, and the rest as one. */
  function bars(facet) {
    const [own, rest] = split(sums((one) => one[facet]), most.bars, facet);
    const rows = own.map(([key, sum]) => row(names[facet][key], sum, scale));
    if (rest.length) rows.push(row(others, rest.map(([, sum]) => sum).reduce(add), scale));
    return rows.map((one, place) => ({ ...one, place }));
  }

  function row(name, sum, denominator) {
    const shown = money(sum, denominator);
    return { name, cost: approximately(sum, denominator), shown, label: `${name}\n${shown} ${data.currency}` };
  }

  /** Return the days or months of the report, those without calls too unless they are very many. */
  function periods() {
    const [first, last] = [data.days[0], data.days[data.days.length - 1]].map(Date.parse);
    const found = new Set();
    if ((last - first) / dayMs > mostGapDays) for (const day of data.days) found.add(periodOf(day));
    else for (let day = first; day <= last; day += dayMs) found.add(periodOf(new Date(day).toISOString().slice(0, 10)));
    return [...found];
  }

  const periodOf = (day) => (monthly ? `${day.slice(0, 7)}-01` : day);

  function overTime() {
    const [own, rest] = split(sums((one) => one.deployment), most.stacked, "deployment");
    const places = new Map(own.map(([key], place) => [key, place]));
    const groups = own.map(([key]) => names.deployment[key]);
    if (rest.length) groups.push(others);
    const found = new Map();
    for (const one of selected()) {
      const place = places.get(one.deployment) ?? own.length;
      one.days.forEach((day, i) => {
        const period = periodOf(data.days[day]);
        if (!found.has(period)) found.set(period, new Map());
        const of = found.get(period);
        of.set(place, (of.get(place) ?? 0n) + one.quantities[i] * one.now);
      });
    }
    const rows = [];
    const totals = [];
    for (const period of periods()) {
      const of = found.get(period) ?? new Map();
      const shown = monthly ? period.slice(0, 7) : period;
      groups.forEach((group, place) => {
        if (!of.has(place)) return;
        const drawn = row(group, of.get(place), scale);
        rows.push({ ...drawn, label: `${shown}\n${drawn.label}`, period, place });
      });
      totals.push(row(shown, [...of.values()].reduce(add, 0n), scale));
    }
    return { rows, groups, totals };
  }

  /** Draw a chart anew, or fill its table where there is no chart library. */
  function draw(name, kind, rows, { groups, totals } = {}) {
    const figure = charts.get(name);
    if (!figure) return;
    fillTable(figure, totals ?? rows);
    if (!specs) return;
    const plot = figure.querySelector(".plot");
    if (!rows.length) {
      show(name, plot, null);
      return;
    }
    const spec = structuredClone(specs[kind]);
    spec.description = figure.querySelector("figcaption").textContent;
    spec.data.values = rows;
    spec.params[0].value = groups ?? rows.map((one) => one.name);
    const narrow = plot.clientWidth < 560;
    if (kind === "stacked") {
      const x = spec.encoding.x;
      const all = periods();
      const step = Math.max(1, Math.ceil(all.length / Math.max(2, Math.floor(plot.clientWidth / 76))));
      x.scale.domain = all;
      spec.mark.width = Math.min(64, (0.85 * plot.clientWidth) / all.length);
      x.axis.values = all.filter((_, i) => i % step === 0);
      x.axis.labelExpr = specs.labels[monthly ? "month" : "day"];
      spec.encoding.color.scale.domain = [...groups.keys()];
      spec.encoding.color.legend.columns = narrow ? 1 : 3;
    } else {
      spec.height = rows.length * stepPx[kind];
      spec.encoding.y.axis.labelLimit = Math.round(plot.clientWidth * 0.42);
      // Room for the amount beside the longest bar.
      spec.encoding.x.scale = { domainMax: Math.max(...rows.map((one) => one.cost)) * (narrow ? 1.4 : 1.15) || 1 };
    }
    show(name, plot, spec);
  }

  const embedding = {
    mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, tooltip: showTip,
  };

  /** Put a picture in its place, after the one that is being drawn there; of those that wait the last is drawn. */
  function show(name, plot, spec) {
    const place = pictures.get(name) ?? { ready: Promise.resolve(), view: null };
    pictures.set(name, place);
    place.spec = spec;
    place.ready = place.ready.then(async () => {
      if (place.spec !== spec) return;
      place.view?.finalize();
      plot.replaceChildren();
      place.view = spec && (await vegaEmbed(plot, spec, embedding));
    });
  }

  function fillTable(figure, rows) {
    const body = figure.querySelector("tbody");
    const largest = Math.max(...rows.map((one) => one.cost), 0);
    body.replaceChildren(...rows.map((one) => {
      const line = document.createElement("tr");
      const texts = one.before === undefined ? [one.name, one.shown] : [one.name, one.before, one.shown];
      line.append(...texts.map((text, i) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        if (i) cell.className = "n";
        return cell;
      }));
      if (!specs) {
        const cell = document.createElement("td");
        cell.className = "bar";
        const bar = document.createElement("i");
        bar.style.width = largest ? `${Math.max(0, (100 * one.cost) / largest)}%` : "0";
        cell.append(bar);
        line.append(cell);
      }
      return line;
    }));
  }

  // ---- the page ----

  function showCosts() {
    const all = chosen.size === names.deployment.length;
    const shown = money(total(), scale);
    byId("total").textContent = shown;
    byId("now").textContent = `${shown} ${data.currency}`;
    byId("calls").textContent = whole([...chosen].reduce((sum, i) => sum + data.deployments[i][1], 0));
    const which = all ? "all" : `${whole(chosen.size)} of`;
    byId("chosen").textContent = `${which} ${whole(names.deployment.length)}`;
    byId("part").textContent = all ? "" : `${whole(chosen.size)} of ${whole(names.deployment.length)} deployments`;
    const time = overTime();
    draw("time", "stacked", time.rows, time);
    for (const facet of ["deployment", "model", "kind", "user", "app"]) {
      draw(facet, "bars", bars(facet));
    }
  }

  const sliders = ["volume", "batch", "cached", "discount"];
  const asLogged = { volume: 100, batch: 0, cached: null, discount: 0 };
  let settings = { ...asLogged };

  function showWhatIf() {
    imagined = {};
    for (const name of sliders) {
      imagined[name] = settings[name] === null ? null : BigInt(settings[name]);
      byId(`${name}-is`).textContent = settings[name] === null ? "as logged" : `${settings[name]} %`;
      byId(name).setAttribute("aria-valuetext", byId(`${name}-is`).textContent);
    }
    const before = total();
    const after = total(imaginedPrice);
    byId("before").textContent = money(before, scale);
    byId("after").textContent = money(after, whatIfScale);
    byId("difference").textContent = money(after - before * 100n ** 4n, whatIfScale);
    const was = new Map(sums((one) => one.deployment));
    const [own, rest] = split(sums((one) => one.deployment, imaginedPrice), most.bars, "deployment");
    const rows = own.map(([key, sum]) => [names.deployment[key], was.get(key), sum]);
    if (rest.length) {
      rows.push([others, rest.map(([key]) => was.get(key)).reduce(add), rest.map(([, sum]) => sum).reduce(add)]);
    }
    const pairs = rows.map(([name, then, now], place) => [
      { ...row(name, then, scale), which: "as logged", place },
      { ...row(name, now, whatIfScale), which: "what if", place },
    ]);
    const told = (one) => ({ ...one, label: `${one.which}: ${one.label}` });
    const totals = pairs.map(([then, now]) => ({ ...now, before: then.shown }));
    draw("what-if", "paired", pairs.flat().map(told), { groups: rows.map(([name]) => name), totals });
  }

  function showAll() {
    showCosts();
    showWhatIf();
  }

  // Dragging a slider asks for more pictures than are worth drawing.
  let waiting = false;
  function soon(show) {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  }

  const boxes = names.deployment.map((name, i) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.value = i;
    box.addEventListener("change", () => { choose(i, box.checked); showAll(); });
    label.append(box, ` ${name}`);
    byId("choices").append(label);
    return box;
  });
  function choose(i, is) {
    if (is) chosen.add(i);
    else chosen.delete(i);
    boxes[i].checked = is;
  }
  for (const [id, is] of [["choose-all", true], ["choose-none", false]]) {
    byId(id).addEventListener("click", () => { boxes.forEach((_, i) => choose(i, is)); showAll(); });
  }
  for (const every of document.getElementsByName("every")) {
    every.addEventListener("change", () => { monthly = every.value === "month"; showCosts(); });
  }
  for (const name of sliders) {
    byId(name).addEventListener("input", () => { settings[name] = Number(byId(name).value); soon(showWhatIf); });
  }
  byId("as-logged").addEventListener("click", () => {
    settings = { ...asLogged };
    for (const name of sliders) byId(name).value = byId(name).defaultValue;
    showWhatIf();
  });

  for (const one of document.querySelectorAll("[data-script]")) one.hidden = false;
  if (!specs) for (const one of document.querySelectorAll("figure details")) one.open = true;
  showAll();
  // A chart is as wide as its place when it is drawn.
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; showAll(); } });
  document.documentElement.dataset.ready = "yes";
})();
