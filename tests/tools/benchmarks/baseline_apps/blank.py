"""The least that Streamlit can show: the baseline of every page's time."""

import streamlit as st

st.markdown("## A blank page")
