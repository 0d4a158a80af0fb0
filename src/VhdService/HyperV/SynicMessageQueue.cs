namespace VhdService.HyperV;

/// <summary>The messages that wait for one slot, oldest first; a bounded number of them.</summary>
internal sealed class SynicMessageQueue
{
    public const int Capacity = 32; // messages

    private readonly SynicMessage[] _messages = new SynicMessage[Capacity];
    private int _first;

    public int Count { get; private set; }

    /// <summary>The oldest.</summary>
    public ref readonly SynicMessage First => ref _messages[_first];

    public bool TryAdd(uint type, ReadOnlySpan<byte> payload)
    {
        if (Count == Capacity)
        {
            return false;
        }

        ref var message = ref _messages[(_first + Count) % Capacity];
        message.Type = type;
        message.PayloadSize = (byte)payload.Length;
        payload.CopyTo(message.Payload);
        Count++;
        return true;
    }

    public void RemoveFirst()
    {
        _first = (_first + 1) % Capacity;
        Count--;
    }

    public void Clear() => Count = 0;
}
