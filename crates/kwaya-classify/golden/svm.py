"""Makes svm.json: the weights and objectives that scikit-learn's LinearSVC
reaches on rows that are drawn as the test in solver.rs draws them.

    python golden/svm.py > golden/svm.json     (scikit-learn 1.9.1, numpy 2.4.6)
"""

import json

import numpy as np
import sklearn
from sklearn.svm import LinearSVC

state = 1


def draw():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return state >> 33


rows, labels = np.zeros((90, 12)), []
for row in range(90):
    label = draw() % 3
    for feature in range(12):
        chance, value = draw() % 100, (1 + draw() % 8) / 8
        if chance < (55 if feature % 3 == label else 30):
            rows[row, feature] = value
    labels.append(label)
labels = np.array(labels)

cases = []
for cost in (0.1, 1.0, 10.0):
    svm = LinearSVC(C=cost, loss="squared_hinge", dual=True, tol=1e-9, max_iter=10**7).fit(rows, labels)
    objectives = []
    for label in range(3):
        w, b = svm.coef_[label], svm.intercept_[label]
        losses = np.maximum(0, 1 - np.where(labels == label, 1, -1) * (rows @ w + b)) ** 2
        objectives.append(0.5 * (w @ w + b * b) + cost * losses.sum())
    cases.append({"cost": cost, "objectives": objectives, "weights": svm.coef_.round(6).tolist()})
print(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}, indent=1))
