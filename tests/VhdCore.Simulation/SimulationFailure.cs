namespace VhdCore.Simulation;

/// <summary>The contract was broken; the message has the seed and the way there.</summary>
internal sealed class SimulationFailure(string message) : Exception(message);
