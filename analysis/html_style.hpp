#pragma once
#include <string_view>

// What to_html() puts into every page as it is.
namespace cmc::analysis {

inline constexpr std::string_view page_style = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--ground:#fff;--band:#f6f8fa;--link:#0969da;--warn:#fff8c5}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--ground:#0d1117;--band:#151b23;--link:#4493f8;--warn:#3b2e00}}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:var(--ground);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main{max-width:1360px;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem;border-bottom:1px solid var(--line);padding-bottom:.75rem}
h1{font-size:1.7rem;line-height:1.25;margin:0}h2{font-size:1.3rem;margin:2.25rem 0 .25rem}h3{font-size:1rem;margin:1.25rem 0 .25rem}
header p,.note{color:var(--soft)}header p{margin:.25rem 0}.note{font-size:.83rem;margin:.3rem 0;max-width:75ch}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin-top:.5rem}a{color:var(--link)}
figure{margin:1.25rem 0}figcaption{font-weight:600;margin-bottom:.4rem}figcaption.note{font-weight:400}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:.35rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{background:var(--band);font-weight:600;vertical-align:bottom}th.group{text-align:center;border-bottom-width:0}
td.text,th.text{text-align:left}.wide td small{display:block}.wide{font-size:.8rem}.wide th,.wide td{padding:.3rem .4rem}.wide th{white-space:normal}tbody tr:last-child td{border-bottom:0}tbody tr:hover td{background:var(--band)}
td:first-child,thead tr:last-child th:first-child{position:sticky;left:0;background:var(--ground);text-align:left}
thead tr:last-child th:first-child{background:var(--band)}
td small{color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:0 1.5rem}.plots figure{min-width:0}
.plot{max-width:760px;background:#fff;border:1px solid var(--line);border-radius:6px;padding:.25rem}.plot svg{width:100%;height:auto;display:block}
.overview{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:.1rem 1.5rem;margin:1rem 0 0;font-size:.9rem}
.overview div{display:flex;gap:.6rem}.overview dt{margin:0;flex:0 0 7.5rem;color:var(--soft);font-weight:400}
th button{all:unset;cursor:pointer;font:inherit}th button:focus-visible{outline:2px solid var(--link)}th[aria-sort=descending] button::after{content:" ▾"}th[aria-sort=ascending] button::after{content:" ▴"}
input[type=search]{font:inherit;font-size:.87rem;color:var(--ink);background:var(--ground);border:1px solid var(--line);border-radius:6px;padding:.2rem .5rem;margin:0 0 .4rem;max-width:100%}
.findings{padding-left:1.1rem}.findings ul{padding-left:1.1rem;color:var(--soft);font-size:.87rem;overflow-wrap:anywhere}.findings>li{margin:.4rem 0}
.remark{background:var(--warn);border:1px solid var(--line);border-radius:6px;padding:.5rem .75rem}
details{border:1px solid var(--line);border-radius:6px;padding:.4rem .75rem;margin:.5rem 0}summary{cursor:pointer;overflow-wrap:anywhere}
dt{font-weight:600;font-size:.85rem;margin-top:.6rem}dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
pre{overflow-x:auto;background:var(--band);border-radius:6px;padding:.75rem;font-size:.83rem}
#provenance td:last-child{white-space:normal;overflow-wrap:anywhere}
.more{display:none;color:var(--soft);font-size:.9em}
@media(max-width:40rem){header,main{padding:0 .8rem}.key{display:none}.more{display:block}td:first-child{min-width:6.5rem;max-width:9rem;white-space:normal;overflow-wrap:break-word}th,td{padding:.3rem .45rem}}
@media print{.scroll{overflow:visible}nav,input{display:none}figure,li{break-inside:avoid}}
)";

inline constexpr const char* paper_bibtex = R"(@inproceedings{wu2024crossmodel,
  title     = {Cross-model Control: Improving Multiple Large Language Models in One-time Training},
  author    = {Wu, Jiayi and Sun, Hao and Cai, Hengyi and Su, Lixin and Wang, Shuaiqiang and Yin, Dawei and Li, Xiang and Gao, Ming},
  booktitle = {Advances in Neural Information Processing Systems 37 (NeurIPS 2024)},
  year      = {2024},
  eprint    = {2410.17599},
  archivePrefix = {arXiv}
})";

}  // namespace cmc::analysis
