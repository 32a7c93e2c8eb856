"""No file includes what includes it: a header and its source count as one. Types that two files need go into a small header
of their own."""

from layer_table import FOLDERS, ROOT, includes, sources


def unit_of(path):
    """pipeline/core/log.hpp and .cpp → pipeline/core/log"""
    return path.rsplit(".", 1)[0]


def graph_of(files):
    """{unit: {included unit: why}}"""
    graph = {}
    for name, included in files:
        edges = graph.setdefault(unit_of(name), {})
        for one in included:
            if one.split("/")[0] in FOLDERS and unit_of(one) != unit_of(name):
                edges[unit_of(one)] = f"{name} includes {one}"
    return graph


def reached_from(unit, graph):
    seen, todo = set(), [unit]
    while todo:
        for one in graph.get(todo.pop(), {}):
            if one not in seen:
                seen.add(one)
                todo.append(one)
    return seen


def loops_of(graph):
    """Groups of units each of which reaches the others, as sets."""
    reach = {unit: reached_from(unit, graph) for unit in graph}
    groups = {frozenset(one for one in reach[unit] if unit in reach.get(one, ())) for unit in graph if unit in reach[unit]}
    return sorted(groups, key=sorted)


def reasons(group, graph):
    return [why for unit in sorted(group) for one, why in sorted(graph[unit].items()) if one in group]


def test_a_loop_through_a_source_is_found():
    files = [("pipeline/a.hpp", []), ("pipeline/a.cpp", ["pipeline/a.hpp", "pipeline/b.hpp"]),
             ("pipeline/b.hpp", ["pipeline/a.hpp"]), ("pipeline/c.cpp", ["pipeline/a.hpp", "torch/torch.h"])]
    graph = graph_of(files)
    assert loops_of(graph) == [{"pipeline/a", "pipeline/b"}]
    assert reasons(loops_of(graph)[0], graph) == ["pipeline/a.cpp includes pipeline/b.hpp", "pipeline/b.hpp includes pipeline/a.hpp"]
    assert not loops_of(graph_of(files[:2]))


def test_no_include_loops():
    graph = graph_of((file.relative_to(ROOT).as_posix(), includes(file)) for file in sources())
    assert graph
    wrong = [reasons(group, graph) for group in loops_of(graph)]
    assert not wrong, "\n\n".join("\n".join(one) for one in wrong)
