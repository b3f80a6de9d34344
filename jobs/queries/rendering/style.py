"""The style sheet of exported reports: system fonts, light and dark, and rules for paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c1b22;--quiet:#5b5966;--paper:#fff;--card:#fff;
--line:#e4e2ea;--accent:#7a5bbf;--amber:#8a5a00;--amberbg:#fff6e0}
@media(prefers-color-scheme:dark){:root{--ink:#eceaf2;--quiet:#aba8b8;--paper:#15141a;
--card:#1d1c24;--line:#34323e;--accent:#a58ae0;--amber:#f0c060;--amberbg:#2b2413}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:0 0 .6rem}h3{font-size:1rem;margin:0}
main>h2{margin:1.5rem 0 .6rem}
.quiet{color:var(--quiet);font-size:.86rem;overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem;
margin:0 0 1rem;overflow-wrap:anywhere}
.amber{background:var(--amberbg);color:var(--amber)}
.lead{font-size:1.05rem;margin:.2rem 0 .8rem}.text{white-space:pre-wrap}
.badge{border:1px solid var(--line);border-radius:99px;padding:.05rem .5rem}
.bar{background:none;height:.8rem;min-width:4rem}
.bar span{display:block;height:100%;background:var(--accent);border-radius:3px;min-width:2px}
.whole{border:1px solid var(--line);border-radius:4px}
.whole,.rest span{background:
repeating-linear-gradient(135deg,var(--quiet) 0 1px,transparent 1px 5px)}
table{width:100%;border-collapse:collapse}td,th{padding:.25rem .5rem;text-align:left;
vertical-align:top;font-weight:400}td:nth-child(3){width:40%}
.number{text-align:right;white-space:nowrap}
a{color:inherit}
.rank{background:var(--line);border-radius:4px;padding:0 .4rem}
blockquote{margin:.6rem 0;padding:.1rem .8rem;border-left:3px solid var(--line)}
.words{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem;padding:0;margin:.6rem 0}
.words li{border:1px solid var(--line);border-radius:4px;padding:0 .4rem;font-size:.82rem}
.pair{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr))}
dl{display:grid;grid-template-columns:7rem 1fr;gap:.2rem .6rem;margin:0}
dt{color:var(--quiet)}dd{margin:0}
@media print{main{max-width:none;margin:0}.card{break-inside:avoid}}
""".strip()
