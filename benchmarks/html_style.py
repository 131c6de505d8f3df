"""The page's style sheet: screen and print, light and dark, no fonts or files from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f7f9; --ink: #15181d; --soft: #4a5260; --rule: #d5d9e0;
  --accent: #0b5d8a; --warn: #fff4de; --warn-ink: #6b3d00;
  --c0: #0b5d8a; --c1: #b4460a; --c2: #1b7340; --c3: #6d3bb0; --c4: #a3204f; --c5: #806000; --c6: #0f6f70;
  --c7: #4d5566;
  --s0: #4d5566; --s1: #0b5d8a; --s2: #6d3bb0; --s3: #b4460a; --s4: #1b7340; }
@media (prefers-color-scheme: dark) { :root { --paper: #12151a; --card: #1b2028; --ink: #eef1f5; --soft: #b3bcc9;
  --rule: #343c48; --accent: #7cc4ec; --warn: #3a2b10; --warn-ink: #ffd9a0;
  --c0: #5fb4e5; --c1: #f0935a; --c2: #5fc98b; --c3: #b695ee; --c4: #f07fa5; --c5: #d9b640; --c6: #56c4c5;
  --c7: #a3adbd;
  --s0: #667083; --s1: #2f7fb0; --s2: #8458c8; --s3: #c05a20; --s4: #2f8a55; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 44px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 52px 0 10px; padding-top: 14px; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 22px 0 8px; }
p { max-width: 75ch; margin: 8px 0; }
.sub, .note, figcaption { color: var(--soft); }
.note, figcaption { font-size: 0.88rem; }
.head { font-size: 1.12rem; margin: 22px 0 0; padding: 0; list-style: none; }
.head li { padding: 6px 0; } .head strong { font-variant-numeric: tabular-nums; }
.warn { background: var(--warn); color: var(--warn-ink); border-radius: 8px; padding: 10px 16px; margin: 12px 0; }
figure { margin: 12px 0; } figure.card { background: var(--card); border-radius: 12px; padding: 14px 18px; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 8px 0; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
th:first-child, .text { text-align: left; } thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; } tbody th, td.text { overflow-wrap: break-word; }
details { margin: 10px 0; } summary { cursor: pointer; color: var(--accent); }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 14px; } svg .small { fill: var(--soft); font-size: 13px; }
svg .name, svg .strong { font-weight: 600; } svg .in { fill: #ffffff; font-size: 13px; font-weight: 600; }
svg .axis { stroke: var(--rule); } svg .tick { stroke: var(--soft); } svg .mark { stroke: var(--ink); stroke-width: 2; }
svg .reference { stroke: var(--soft); stroke-dasharray: 5 4; } svg .whisker { stroke-width: 4; stroke-linecap: round; }
svg .area { fill-opacity: 0.55; }
svg .front { fill: none; stroke: var(--soft); stroke-dasharray: 2 5; stroke-width: 2; }
svg .line { fill: none; stroke-width: 2; }
.pictures { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); }
.pictures figure { margin: 0; } .pictures img { width: 100%; height: auto; border-radius: 8px; display: block; }
footer { padding-bottom: 60px; }
.narrow { display: none; }
@media screen and (max-width: 640px) { main, header, footer { padding: 0 12px; }
  figure.card { padding: 8px 6px; } .wide { display: none; } .narrow { display: block; } }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #333; }
  @page { margin: 14mm; } body { font-size: 10.5pt; } main, header, footer { max-width: none; padding: 0; }
  figure, table, .pictures, li { break-inside: avoid; } h2, h3, caption { break-after: avoid; } h2 { margin-top: 24px; }
  .pictures { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }
  .scroll { overflow: visible; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def style() -> str:
    """The sheet, with a class per colour."""
    classes = [f"svg .c{i} {{ fill: var(--c{i}); }} svg .k{i} {{ stroke: var(--c{i}); }}" for i in range(8)]
    classes += [f"svg .s{i} {{ fill: var(--s{i}); }}" for i in range(5)]
    return STYLE + "\n".join(classes)
