"""The page of scripts/drill: one file without external parts, light and dark, readable on a phone."""
import html

import timeline

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5f6b76;--line:#d8dee4;--ok:#1a7f37;--bad:#cf222e;--told:#9a6700;--bar:#4a7fb5}
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e3e8ed;--dim:#93a0ac;--line:#323a43;--ok:#4cc469;--bad:#ff6b63;--told:#d4a72c;--bar:#6ea8dd}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;background:var(--bg);color:var(--fg);font:16px/1.45 system-ui,sans-serif}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .3rem;text-transform:capitalize}
h3{font-size:1rem;margin:0}p{margin:.2rem 0}.dim{color:var(--dim)}.green{color:var(--ok)}.red{color:var(--bad)}.told{color:var(--told)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem;white-space:nowrap}
td,th{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
a{color:inherit}article{border-top:1px solid var(--line);padding:.8rem 0}ul{margin:.2rem 0;padding-left:1.2rem}
svg{display:block;width:100%;height:auto;margin:.4rem 0}svg text{font:10px system-ui,sans-serif;fill:var(--dim)}
.grid{stroke:var(--line);stroke-width:.6}.axis{stroke:var(--dim);stroke-width:.8}.busy{fill:var(--bar)}.gap{fill:var(--bad)}
"""
MARK = {"green": "✓ green", "told": "! not survived, as told", "red": "✗ red"}


def page(records):
    green, told, red = (sum(record["verdict"] == verdict for record in records) for verdict in MARK)
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8">'
             '<meta name="viewport" content="width=device-width,initial-scale=1"><title>ocf-san: drill</title>'
             f"<style>{STYLE}</style></head><body><h1>ocf-san: drill</h1>"
             f'<p><b class="green">{green} green</b>, '
             f'{f"<b class=told>{told} not survived, as the table says</b>, " if told else ""}<b class="{"red" if red else "dim"}">{red} red</b>'
             f" of {len(records)} cases; {sum(record['read_back'] or 0 for record in records)} acknowledged blocks read back.</p>", summary(records)]
    for group in dict.fromkeys(record["group"] for record in records):
        parts.append(f"<h2>{html.escape(group)}</h2>")
        parts += [article(record) for record in records if record["group"] == group]
    parts.append('<p class="dim">Pictures: for each moment the time between two acknowledged writes around it, on a logarithmic scale; '
                 "red from one second on.</p></body></html>")
    return "".join(parts)


def cell(value, form="{}"):
    return "?" if value is None else html.escape(form.format(value))


def summary(records):
    rows = "".join(
        f'<tr><td><a href="#{html.escape(r["name"])}">{html.escape(r["name"])}</a></td><td class="{r["verdict"]}">{MARK[r["verdict"]]}</td>'
        f"<td>{cell(r['gap_s'], '{:.1f}')}</td><td>{cell(r['io_errors'])}</td><td>{cell(r['acknowledged_lost'])}</td>"
        f"<td>{cell(r['read_back'])}</td><td>{r['recoveries']}</td><td>{cell(r['to'] or 'nowhere')}</td></tr>" for r in records)
    return ('<div class="wide"><table><tr><th>case<th>verdict<th>gap s<th>I/O errors<th>acknowledged lost<th>read back<th>starts<th>runs on</tr>'
            f"{rows}</table></div>")


def article(record):
    def sentences(kind, words, style=""):
        return "".join(f'<li class="{style}">{kind}{html.escape(sentence)}</li>' for sentence in words)

    remarks = (sentences("", record["why"], "red") + sentences("", [record["why_not"]] if record["why_not"] else [])
               + sentences("seen: ", record["notes"]) + sentences("the cluster says: ", record["reasons"], "dim"))
    return (f'<article id="{html.escape(record["name"])}"><h3>{html.escape(record["name"])} '
            f'<span class="{record["verdict"]}">{MARK[record["verdict"]]}</span></h3>'
            f'<p>{html.escape(record["does"])} <span class="dim">→ {html.escape(record["must"])}</span></p>{timeline.picture(record)}'
            f"{f'<ul>{remarks}</ul>' if remarks else ''}</article>")
