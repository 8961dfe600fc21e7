"""A plain Streamlit page as one writes it in an afternoon: four metrics, one Plotly chart, a table of 350 rows."""

import pandas as pd
import plotly.express as px
import streamlit as st

st.markdown("## A plain page")
rows = pd.DataFrame(
    {
        "player": [f"player {i}" for i in range(350)],
        "team": [f"T{i % 30}" for i in range(350)],
        "points": [(i * 37) % 41 for i in range(350)],
        "minutes": [(i * 53) % 38 for i in range(350)],
    }
)
for column, name in zip(st.columns(4), ("Players", "Teams", "Points", "Minutes"), strict=True):
    column.metric(
        name,
        len(rows)
        if name == "Players"
        else int(rows[name.lower().rstrip("s") if name == "Teams" else name.lower()].nunique()),
    )
st.plotly_chart(px.bar(rows.groupby("team", as_index=False)["points"].sum(), x="team", y="points"))
st.dataframe(rows)
