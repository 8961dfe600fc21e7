"""The least that Streamlit can show: what every page of the desk is measured beside."""

import streamlit as st

st.markdown("## A blank page")
