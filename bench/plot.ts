/** Draws a plot of lines as SVG: a value over a number, one line for each name. */

export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Steps that grow by factors are told apart only so. */
  readonly isLogarithmic?: boolean;
  readonly lines: readonly Line[];
}

const WIDTH = 860;
const HEIGHT = 420;
const LEFT = 60;
const RIGHT = 660;
const TOP = 50;
const BOTTOM = 360;
/** Told apart by people who see colours otherwise, too (Okabe and Ito); the names stand beside the lines as well. */
const COLOURS = ['#d55e00', '#009e73', '#0072b2', '#56b4e9', '#cc79a7', '#5b6b7b'];
const MIN_LABEL_GAP = 18;

/** The text of the SVG file. */
export function draw({ title, xLabel, yLabel, isLogarithmic = false, lines }: Plot): string {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const scale = isLogarithmic ? Math.log : (value: number) => value;
  const [first = 1, last = 1] = [xs[0], xs.at(-1)];
  const width = scale(last) - scale(first) || 1;
  const highest = Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y)), 1e-9);
  const step = niceStep(highest / 5);
  const top = Math.ceil(highest / step) * step;
  const atX = (x: number): number => round(LEFT + ((scale(x) - scale(first)) / width) * (RIGHT - LEFT));
  const atY = (y: number): number => round(BOTTOM - (y / top) * (BOTTOM - TOP));

  const levels = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
  const grid = levels.map((y) => `    <path d="M${LEFT} ${atY(y)}H${RIGHT}"/>`);
  const yTicks = levels.map(
    (y) => `    <text x="${LEFT - 8}" y="${atY(y) + 5}" text-anchor="end">${shown(y)}</text>`,
  );
  const xTicks = xs.map(
    (x) => `    <text x="${atX(x)}" y="${BOTTOM + 22}" text-anchor="middle">${shown(x)}</text>`,
  );
  const names = apart(lines.map(({ points }) => atY(points.at(-1)?.y ?? 0)));
  const drawn = lines.map(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = points.map(({ x, y }) => `${atX(x)},${atY(y)}`).join(' ');
    const dots = points.map(({ x, y }) => `<circle cx="${atX(x)}" cy="${atY(y)}" r="3.5"/>`).join('');
    return `  <g fill="${colour}">
    <polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2.5"/>
    ${dots}
    <text x="${RIGHT + 14}" y="${(names[i] as number) + 5}">${escaped(name)}</text>
  </g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="t" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="14">
  <title id="t">${escaped(title)}</title>
  <rect width="${WIDTH}" height="${HEIGHT}" rx="10" fill="#f7f9fb"/>
  <text x="${LEFT}" y="28" font-size="16" font-weight="600" fill="#22303c">${escaped(yLabel)}</text>
  <g stroke="#d8dfe6" stroke-width="1">
${grid.join('\n')}
  </g>
  <g fill="#22303c">
${[...yTicks, ...xTicks].join('\n')}
    <text x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 46}" text-anchor="middle">${escaped(xLabel)}</text>
  </g>
${drawn.join('\n')}
</svg>
`;
}

/** 1, 2 or 5 times a power of ten, at least so large. */
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5, 10].find((factor) => factor * power >= least * 0.999) ?? 10) * power;
}

/** The same heights in the same order, as far from each other as lines of text must be. */
export function apart(heights: readonly number[], gap = MIN_LABEL_GAP): number[] {
  const order = heights.map((height, i) => ({ height, i })).sort((a, b) => a.height - b.height);
  const moved = [...heights];
  let least = Number.NEGATIVE_INFINITY;
  for (const { height, i } of order) {
    least = Math.max(height, least + gap);
    moved[i] = least;
  }
  return moved;
}

const round = (value: number): number => Math.round(value * 10) / 10;

function shown(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en', { maximumFractionDigits: 3 });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
