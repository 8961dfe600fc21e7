"""Another blank page, to click away from: leaving it costs nothing."""

import streamlit as st

st.markdown("## Another blank page")
