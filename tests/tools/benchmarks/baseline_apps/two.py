"""The blank and the plain page in one app, for a click from a blank page to each."""

import streamlit as st

st.navigation([st.Page("blank.py", default=True), st.Page("other.py"), st.Page("plain.py")]).run()
