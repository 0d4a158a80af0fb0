namespace VhdCore.Storage;

/// <summary>Requests in the order of their coming, linked by <see cref="IoRequest.Next"/>: a queue that allocates nothing. Guarded by its owner.</summary>
internal struct IoRequestQueue
{
    private IoRequest? _last;

    /// <summary>The next to leave.</summary>
    public IoRequest? First { get; private set; }

    public readonly bool IsEmpty => First is null;

    /// <summary>Adds one that is in no other list.</summary>
    public void Add(IoRequest request)
    {
        request.Next = null;
        if (_last is null)
        {
            First = request;
        }
        else
        {
            _last.Next = request;
        }

        _last = request;
    }

    /// <summary>Takes <see cref="First"/>, which is there.</summary>
    public IoRequest Take()
    {
        var request = First!;
        First = request.Next;
        _last = First is null ? null : _last;
        request.Next = null;
        return request;
    }
}
