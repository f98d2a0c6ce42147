// The style of the admin page (page.ts). Light and dark by the reader's setting; no font, image or file from elsewhere.

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #fbfbfa; --card: #fff; --text: #1c1e21; --dim: #6b7280; --line: #e4e4e0; --track: #eeeeea;
  --hook: #2f6fde; --up: #3c9d6b; --call: #8b5cd6; --bad: #d0342c; --good: #2a8a4a; --warn: #b7791f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #15171a; --card: #1d2024; --text: #e7e8ea; --dim: #9097a1; --line: #2e3238; --track: #2a2e34;
    --hook: #6ea2ff; --up: #5cc78f; --call: #b491f0; --bad: #ff6b61; --good: #5cc77f; --warn: #e0b050;
  }
}
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 0; background: var(--back); color: var(--text); }
main, header { max-width: 78rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline; padding-top: 1rem; }
h1 { font-size: 1.25rem; margin: 0; letter-spacing: .01em; }
h2 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
nav { margin-left: auto; } nav a { margin-left: .9rem; } a { color: var(--hook); text-decoration: none; }
a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .2rem .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--dim); font-size: .85em; }
td, th { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:last-child > td { border-bottom: 0; } td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; }
code, pre, .mono { font: .92em/1.4 ui-monospace, monospace; }
.dim { color: var(--dim); } .bad { color: var(--bad); } .good { color: var(--good); } .warn { color: var(--warn); }
.badge { border: 1px solid; border-radius: 9px; padding: 0 .5rem; font-size: .85em; font-weight: 600; }
.bar-tools { display: flex; gap: .8rem; align-items: center; margin: .2rem 0 .4rem; }
input[type="search"] { font: inherit; padding: .15rem .5rem; width: 20rem; max-width: 60%; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: 4px; }
details.request { border-bottom: 1px solid var(--line); } details.request:last-child { border-bottom: 0; }
details.request > summary { cursor: pointer; display: grid; padding: .3rem 0; gap: .7rem; align-items: baseline;
  grid-template-columns: 6.5rem 3rem minmax(0, 1fr) minmax(0, 14rem) 6rem; list-style: none; }
details.request > summary::-webkit-details-marker { display: none; }
details.request[open] > summary { font-weight: 600; }
.cut { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.waterfall { padding: .2rem 0 .7rem; }
.row { display: grid; grid-template-columns: minmax(0, 19rem) minmax(6rem, 1fr) minmax(0, 21rem); gap: .8rem; align-items: center;
  padding: .1rem 0; }
.track { position: relative; height: .85rem; background: var(--track); border-radius: 3px; overflow: hidden; }
.bar { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--hook); }
.bar.up { background: var(--up); } .bar.wait { background: var(--up); opacity: .45; }
.bar.call { background: var(--call); } .bar.bad { background: var(--bad); } .bar.pause { opacity: .3; }
.facts { color: var(--dim); font-size: .9em; padding-top: .3rem; overflow-wrap: anywhere; }
pre { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 46rem) {
  .row { grid-template-columns: 1fr; } details.request > summary { grid-template-columns: 3rem 1fr 5rem; }
  details.request > summary > .wide { display: none; }
}
`;
