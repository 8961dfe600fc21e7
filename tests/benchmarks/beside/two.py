"""The blank and the plain page in one app, for a click from one to the other."""

import streamlit as st

st.navigation([st.Page("blank.py", default=True), st.Page("plain.py")]).run()
