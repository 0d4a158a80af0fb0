namespace VhdCore.Primitives;

/// <summary>What a write asks for beside being visible.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>Visible to every later read once acknowledged; durable after the next flush.</summary>
    None = 0,

    /// <summary>Force unit access: durable before it is acknowledged.</summary>
    Fua = 1,
}
